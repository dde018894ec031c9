import { describe, expect, test } from 'vitest';
import { lowerForCpu } from '../../lib/exec/cpu.js';
import { Graph } from '../../lib/ir/graph.js';
import { verify } from '../../lib/ir/verify.js';
import { activation } from '../../lib/ops/activation.js';
import { add, mul } from '../../lib/ops/binary.js';
import { linear } from '../../lib/ops/linear.js';
import { unary } from '../../lib/ops/unary.js';
import { decompose } from '../../lib/passes/decompose.js';
import { eliminateDead } from '../../lib/passes/eliminate_dead.js';
import { fuseLinear } from '../../lib/passes/fuse_linear.js';
import { fuseQkv } from '../../lib/passes/fuse_qkv.js';
import { inferencePasses, optimize } from '../../lib/passes/pipeline.js';
import { quantizeLinear } from '../../lib/passes/quantize_linear.js';
import { ownOutputs } from '../../lib/plan/own_outputs.js';
import { cpuPlaces, distance, reference, roundsToBF16, run } from '../replay.js';
import { programOf, tinyEncoder, tinyModels } from './tiny_models.js';

/** Every rewrite of a graph by itself, and all of the pipeline. */
const passes: Readonly<Record<string, (graph: Graph) => Graph>> = {
  ...Object.fromEntries(inferencePasses.map(({ name, run: pass }) => [name, pass])),
  decompose: (graph) => decompose(graph, () => false),
  own_outputs: ownOutputs,
  'the pipeline': optimize,
  'the pipeline, decomposed': (graph) => decompose(optimize(graph), () => false),
};

const opsOf = (graph: Graph): string[] => graph.nodes.map((n) => n.op);
const count = (graph: Graph, op: string): number => opsOf(graph).filter((name) => name === op).length;

describe.each(Object.entries(tinyModels))('%s', (_, build) => {
  test.each(Object.entries(passes))('%s leaves the logits as they are', async (__, pass) => {
    const graph = build();
    verify(graph);
    const rewritten = pass(graph);
    verify(rewritten);
    const [want, got] = [
      await run(programOf(graph), reference),
      await run({ ...programOf(graph), graph: rewritten }, reference),
    ];
    expect(want.logits?.shape).toEqual([29, 41]);
    expect(Math.max(...(want.logits?.data ?? []))).toBeGreaterThan(0.01);
    expect(distance(got.logits?.data ?? [], want.logits?.data ?? [])).toBeLessThan(1e-7);
  });

  test('the graph is legal after each pass, and the rewrites find what they are for', () => {
    const seen: string[] = [];
    const optimized = optimize(build(), (graph, pass) => {
      verify(graph);
      seen.push(pass);
    });
    expect(seen).toEqual(inferencePasses.map(({ name }) => name));
    expect(optimize(optimized).nodes).toHaveLength(optimized.nodes.length);
  });

  test.each(cpuPlaces)('the logits of $name', async (place) => {
    const program = programOf(build());
    const [want, got] = [await run(program, reference), await run(program, place)];
    const bf16 = roundsToBF16(place) && [...program.graph.params.values()].some((v) => v.dtype === 'bf16');
    expect(distance(got.logits?.data ?? [], want.logits?.data ?? [])).toBeLessThan(bf16 ? 2e-2 : 2e-5);
  });
});

test('Llama decodes in at most 8 kernel steps a layer', async () => {
  const graph = (tinyModels.llama as () => Graph)();
  const { calls } = await lowerForCpu(graph, { bf16Dot: false });
  const kernels = calls.map((c) => c.kernel);
  const layer = [
    'rms_norm',
    'linear',
    'rope_kv_write',
    'paged_attention',
    'linear',
    'rms_norm',
    'linear',
    'linear',
  ];
  expect(layer.length).toBeLessThanOrEqual(8);
  expect(kernels).toEqual([
    'embedding',
    'rope_table',
    ...layer,
    ...layer,
    'rms_norm',
    'gather_rows',
    'linear',
  ]);
  // The same steps where bf16 weights want rounded activations.
  const rounded = await lowerForCpu(graph, { bf16Dot: true });
  expect(rounded.calls.map((c) => c.kernel)).toEqual(kernels);
});

test.each([
  ['llama with biases, dynamic rope', 8],
  ['mistral', 8],
  ['qwen2', 8],
  ['qwen3', 8],
  ['gpt2', 8],
])('%s: %i kernel steps a layer', async (name, most) => {
  const { calls } = await lowerForCpu((tinyModels[name] as () => Graph)(), { bf16Dot: false });
  const kernels = calls.map((c) => c.kernel);
  const [first, second] = kernels.flatMap((k, i) => (k === 'paged_attention' ? [i] : []));
  expect((second as number) - (first as number)).toBeLessThanOrEqual(most);
});

describe('an encoder-decoder on the CPU', () => {
  const kernelsOf = async (graph: Graph): Promise<string[]> =>
    (await lowerForCpu(graph, { bf16Dot: false })).calls.map((c) => c.kernel);
  const words = ['embedding', 'binary', 'embedding', 'binary'];
  const self = ['layer_norm', 'linear', 'rope_kv_write', 'paged_attention', 'linear'];
  const mlp = ['layer_norm', 'linear', 'linear'];

  test('decodes in 12 kernel steps a layer', async () => {
    const cross = ['layer_norm', 'linear', 'paged_attention', 'linear'];
    const layer = [...self, ...cross, ...mlp];
    const end = ['layer_norm', 'gather_rows', 'linear', 'binary'];
    const kernels = await kernelsOf((tinyModels.blenderbot as () => Graph)());
    expect(kernels).toEqual([...words, ...layer, ...layer, ...end]);
  });

  test('encodes in 8 a layer, and 2 for what each layer of the decoder reads', async () => {
    const kept = ['linear', 'rope_kv_write'];
    const layer = [...self, ...mlp];
    verify(optimize(tinyEncoder()));
    expect(await kernelsOf(tinyEncoder())).toEqual([
      ...words,
      ...layer,
      ...layer,
      'layer_norm',
      ...kept,
      ...kept,
    ]);
    const quantized = await kernelsOf(quantizeLinear(tinyEncoder(), () => true));
    // The bytes of the encoder's output are made once.
    expect(quantized.slice(-5)).toEqual([
      'layer_norm_quantized',
      ...['quantized_linear', 'rope_kv_write', 'quantized_linear', 'rope_kv_write'],
    ]);
  });
});

describe('quantize_linear', () => {
  const quantized = (name: string, chosen: (name: string) => boolean = () => true): Graph =>
    quantizeLinear((tinyModels[name] as () => Graph)(), chosen);

  test.each(Object.keys(tinyModels))('%s: every linear over shared bytes, every matrix q8', (name) => {
    const before = (tinyModels[name] as () => Graph)();
    const graph = quantized(name);
    verify(graph);
    expect(count(graph, 'linear')).toBe(0);
    expect(count(graph, 'quantized_linear')).toBe(count(before, 'linear'));
    const rows = graph.nodes.filter((n) => n.op === 'quantize_rows').map((n) => n.inputs.x);
    expect(new Set(rows).size).toBe(rows.length);
    for (const p of graph.params.values()) {
      const matrix = p.shape.length === 2 && p.shape[0] !== 1;
      expect(p.dtype, p.name).toBe(matrix ? 'q8' : 'f32');
    }
  });

  test('a Llama layer keeps its 8 steps, and makes bytes where no norm comes before', async () => {
    const { calls } = await lowerForCpu(quantized('llama'), { bf16Dot: false });
    const layer = [
      'rms_norm_quantized',
      'quantized_linear',
      'rope_kv_write',
      'paged_attention',
      'quantize_rows',
      'quantized_linear',
      'rms_norm_quantized',
      'quantized_linear',
      'quantize_rows',
      'quantized_linear',
    ];
    const end = ['rms_norm', 'gather_rows', 'quantize_rows', 'quantized_linear'];
    expect(calls.map((c) => c.kernel)).toEqual(['embedding', 'rope_table', ...layer, ...layer, ...end]);
  });

  test.each(cpuPlaces)('the fused graph gives what the plain one does, on $name', async (place) => {
    for (const name of ['llama', 'qwen3', 'gpt2']) {
      const program = programOf(quantized(name));
      const [want, got] = [await run(program, reference), await run(program, place)];
      // A byte next to a half may go either way.
      expect(distance(got.logits?.data ?? [], want.logits?.data ?? []), name).toBeLessThan(2e-2);
    }
  });

  test('takes what is chosen, and leaves alone what others read', () => {
    const some = quantized('llama', (name) => name.includes('mlp'));
    expect(count(some, 'quantized_linear')).toBe(6);
    expect(count(some, 'linear')).toBe(9);
    const graph = new Graph();
    const w = graph.param('w', 'f32', [4, 4]);
    graph.output('y', linear(graph.input('x', 'f32', ['T', 4]), w));
    graph.output('z', unary('exp', w));
    expect(quantizeLinear(graph, () => true)).toBe(graph);
  });
});

describe('fuse_linear', () => {
  const width = 6;
  function graphOf(
    build: (parts: {
      a: () => ReturnType<typeof linear>;
      b: () => ReturnType<typeof linear>;
      graph: Graph;
    }) => void,
  ): Graph {
    const graph = new Graph();
    const x = graph.input('x', 'f32', ['T', width]);
    const make = (name: string) => () => linear(x, graph.param(name, 'f32', [width, width]));
    build({ a: make('a'), b: make('b'), graph });
    const fused = eliminateDead(fuseLinear(graph));
    verify(fused);
    return fused;
  }

  test('takes a gate whichever side the activation is on, and the sum after it', () => {
    for (const swap of [false, true]) {
      const fused = graphOf(({ a, b, graph }) => {
        const [gate, up] = [activation('silu', a()), b()];
        graph.output('y', add(swap ? mul(up, gate) : mul(gate, up), graph.input('r', 'f32', ['T', width])));
      });
      expect(opsOf(fused)).toEqual(['fused_linear']);
      expect(fused.nodes[0]?.attrs).toEqual({ combine: 'gate', activation: 'silu' });
      expect(Object.keys(fused.nodes[0]?.inputs ?? {})).toEqual(['x', 'w0', 'w1', 'residual']);
    }
  });

  test('leaves alone what others read', () => {
    const read = graphOf(({ a, graph }) => {
      const y = a();
      graph.output('y', activation('relu', y));
      graph.output('z', unary('exp', y));
    });
    expect(opsOf(read)).toEqual(['linear', 'activation', 'unary']);
    const output = graphOf(({ a, graph }) => {
      const y = a();
      graph.output('y', y);
      graph.output('z', activation('relu', y));
    });
    expect(opsOf(output)).toEqual(['linear', 'activation']);
  });

  test('does not take a sum that broadcasts for a residual', () => {
    const fused = graphOf(({ a, graph }) => {
      graph.output('y', add(a(), graph.input('r', 'f32', [width])));
    });
    expect(opsOf(fused)).toEqual(['linear', 'binary']);
  });
});

describe('fuse_qkv', () => {
  test('joins q, k and v of every layer, unless their types differ', () => {
    const fusedOf = (name: string): Graph => eliminateDead(fuseQkv((tinyModels[name] as () => Graph)()));
    for (const name of Object.keys(tinyModels)) {
      const mixed = name === 'llama of mixed types';
      expect(count(fusedOf(name), 'rope_kv_write'), name).toBe(mixed ? 0 : 2);
      expect(count(fusedOf(name), 'kv_write'), name).toBe(mixed ? 2 : 0);
    }
    // GPT-2's projection is one already.
    expect(count(fusedOf('gpt2'), 'fused_linear')).toBe(0);
    expect(count(fusedOf('qwen3'), 'fused_linear')).toBe(2);
  });
});

test('eliminate_dead keeps what outputs and states need', () => {
  const graph = new Graph();
  const x = graph.input('x', 'f32', ['T']);
  unary('exp', unary('neg', x));
  graph.output('y', unary('abs', x));
  expect(opsOf(eliminateDead(graph))).toEqual(['unary']);
  const model = (tinyModels.gpt2 as () => Graph)();
  model.outputs.clear();
  model.output('tokens', model.inputs.get('tokens') as NonNullable<ReturnType<typeof model.inputs.get>>);
  expect(count(eliminateDead(model), 'kv_write')).toBe(2);
  expect(count(eliminateDead(model), 'paged_attention')).toBe(1);
});
