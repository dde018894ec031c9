import { expect } from 'vitest';
import { executorOf, type RunGraphOptions, runGraph, runIn } from '../lib/exec/run_graph.js';
import { applyOp, opNamed } from '../lib/ir/define_op.js';
import { Graph } from '../lib/ir/graph.js';
import { evalShape } from '../lib/ir/shape.js';
import type { NamedValues, Value } from '../lib/ir/value.js';
import { verify } from '../lib/ir/verify.js';
import { accumulate } from '../lib/ops/accumulate.js';
import { add } from '../lib/ops/binary.js';
import { kvBlockSize, kvWrite } from '../lib/ops/kv_write.js';
import { pagedAttention } from '../lib/ops/paged_attention.js';
import { scalar } from '../lib/ops/scalar.js';
import type { Tensor } from '../lib/tensor.js';
import { availableIsas } from '../lib/testing.js';
import { memoryParams } from '../lib/weights/param_source.js';
import { floats, generator } from './random.js';
import type { Sample, SampleInput } from './suites/suite.js';

/** Where graphs run: the living definition, every instruction set of this machine, and onnxruntime. */
export interface Place {
  readonly name: string;
  readonly device: 'reference' | 'cpu' | 'onnx';
  readonly isa?: string;
}
export const reference: Place = { name: 'reference', device: 'reference' };
export const cpuPlaces: readonly Place[] = availableIsas().map((isa) => ({
  name: `cpu ${isa}`,
  device: 'cpu',
  isa,
}));
/** Whether bf16 weights meet activations rounded to bf16 there: 8 bits of each factor. */
export const roundsToBF16 = ({ isa }: Place): boolean => isa === 'avx512_bf16' || isa === 'avx512_amx';
export const onnx: Place = { name: 'onnx', device: 'onnx' };
export const places: readonly Place[] = [reference, onnx, ...cpuPlaces];

/** A graph and what to feed it. */
export interface Program {
  readonly graph: Graph;
  readonly feed: Pick<RunGraphOptions, 'inputs' | 'params' | 'bindings'>;
}

export const run = ({ graph, feed }: Program, { device, isa }: Place): Promise<Record<string, Tensor>> =>
  runGraph(graph, { ...feed, device, ...(isa === undefined ? {} : { isa }) });

/**
 * What each program gives, or the error that it ends with. In one session where opening one is slow: parameters and states of
 * different programs must have different names then.
 */
export async function runAll(
  programs: readonly Program[],
  place: Place,
): Promise<(Record<string, Tensor> | string)[]> {
  const results: (Record<string, Tensor> | string)[] = [];
  if (place.device !== 'onnx') {
    for (const program of programs) results.push(await run(program, place).catch(String));
    return results;
  }
  const params = Object.assign({}, ...programs.map(({ feed }) => feed.params ?? {}));
  const session = executorOf(place).open(memoryParams(params));
  try {
    for (const { graph, feed } of programs) results.push(await runIn(session, graph, feed).catch(String));
  } finally {
    await session.dispose();
  }
  return results;
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

function leaf(graph: Graph, name: string, { dtype, shape, data, from = 'input' }: SampleInput): Value {
  if (from === 'const') return graph.constant(dtype, shape as number[], data);
  return graph[from](name, dtype, shape);
}

/** Caches [blocks, 16, H, D] that hold the numbers of their samples. */
function fillCaches(graph: Graph, values: NamedValues, inputs: Sample['inputs']): NamedValues {
  const { k_cache, v_cache } = values;
  if (!k_cache || !v_cache) return values;
  const [blocks, , h, d] = k_cache.shape as [number, number, number, number];
  const rows = blocks * kvBlockSize;
  const [k, v] = [inputs.k_cache, inputs.v_cache].map((i) =>
    graph.constant('f32', [rows, h, d], i?.data ?? []),
  );
  const slots = graph.constant('i32', [rows], range(rows));
  return { ...values, ...kvWrite({ k: k as Value, v: v as Value, k_cache, v_cache, slots }) };
}

/**
 * What caches hold, as outputs: values exactly, each as the only key of a query; keys by how queries at random weigh the values of
 * their block. The layout of caches in memory belongs to the executor.
 */
function readCaches(graph: Graph, k_cache: Value, v_cache: Value): void {
  const [blocks, , h, d] = k_cache.shape as [number, number, number, number];
  const rows = blocks * kvBlockSize;
  const i32 = (data: number[], shape = [data.length]): Value => graph.constant('i32', shape, data);
  const none = { scale: 1, causal: true, window: 0, softcap: 0 };
  const values = pagedAttention(
    {
      q: graph.constant('f32', [rows, h, d], new Array<number>(rows * h * d).fill(0)),
      k_cache,
      v_cache,
      q_starts: i32(range(rows + 1)),
      context_lens: i32(range(rows).map((i) => (i % kvBlockSize) + 1)),
      block_tables: i32(
        range(rows).map((i) => Math.floor(i / kvBlockSize)),
        [rows, 1],
      ),
    },
    { ...none, window: 1 },
  );
  const keys = pagedAttention(
    {
      q: graph.constant('f32', [3 * blocks, h, d], floats(generator(1), 3 * blocks * h * d)),
      k_cache,
      v_cache,
      q_starts: i32(range(blocks + 1).map((i) => 3 * i)),
      context_lens: i32(range(blocks).map(() => kvBlockSize)),
      block_tables: i32(range(blocks), [blocks, 1]),
    },
    { ...none, causal: false },
  );
  graph.output('values', values);
  graph.output('keys', keys);
}

/** A state other than a cache with its numbers: runs begin with zeros. */
const filled = (graph: Graph, name: string, value: Value, { from, shape, data }: SampleInput): Value =>
  from === 'state' && !name.endsWith('_cache')
    ? accumulate(value, graph.constant('f32', shape as number[], data))
    : value;

/** The graph that applies `op` to a sample's operands; its parameters and states are named with the sample's name. */
export function programOf(op: string, sample: Sample): Program {
  const graph = new Graph();
  const entries = Object.entries(sample.inputs);
  const nameOf = (name: string, from: SampleInput['from']): string =>
    from === 'param' || from === 'state' ? `${sample.name}: ${name}` : name;
  const leaves = Object.fromEntries(
    entries.map(([name, i]) => [name, filled(graph, name, leaf(graph, nameOf(name, i.from), i), i)]),
  );
  const outputs = applyOp(opNamed(op), fillCaches(graph, leaves, sample.inputs), sample.attrs);
  const { k_cache, v_cache, ...rest } = outputs;
  // A state is no output; what it holds is.
  for (const [name, value] of Object.entries(rest))
    graph.output(name, value.state === undefined ? value : add(value, scalar(value, 0)));
  if (k_cache && v_cache) readCaches(graph, k_cache, v_cache);
  verify(graph);
  const numbers = (from: SampleInput['from']) =>
    Object.fromEntries(
      entries
        .filter(([, i]) => (i.from ?? 'input') === from)
        .map(([name, i]) => [nameOf(name, from), { shape: evalShape(i.shape, sample.dims), data: i.data }]),
    );
  return { graph, feed: { inputs: numbers('input'), params: numbers('param'), bindings: sample.dims } };
}

/** How far `got` lies from `want`, relative to the largest number there; 0 if NaN and infinities are in the same places. */
export function distance(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length) return Number.POSITIVE_INFINITY;
  let largest = 1e-30;
  let worst = 0;
  for (let i = 0; i < want.length; i++) {
    const [a, b] = [got[i] as number, want[i] as number];
    if (Number.isFinite(b)) largest = Math.max(largest, Math.abs(b));
    if (Object.is(a, b) || a === b) continue;
    const d = Math.abs(a - b);
    worst = d <= worst ? worst : Number.isNaN(d) ? Number.POSITIVE_INFINITY : d;
  }
  return worst / largest;
}

/** How far whole numbers lie from one another at most. */
const furthest = (got: ArrayLike<number>, want: ArrayLike<number>): number =>
  Array.from(want).reduce((most, w, i) => Math.max(most, Math.abs((got[i] as number) - w)), 0);

/** What differs between two runs: whole numbers may be off by `steps`, others by `tolerance` of the largest. */
export function differences(
  got: Record<string, Tensor>,
  want: Record<string, Tensor>,
  tolerance: number,
  steps = 0,
): string[] {
  expect(Object.keys(want).filter((name) => !(name in got))).toEqual([]);
  return Object.entries(want).flatMap(([name, w]) => {
    const g = got[name] as Tensor;
    const wrong = g.dtype !== w.dtype || g.shape.join() !== w.shape.join();
    if (wrong) return [`${name}: ${g.dtype}[${g.shape.join()}] instead of ${w.dtype}[${w.shape.join()}]`];
    const whole = w.dtype === 'i32' || w.dtype === 'i8';
    const d = whole ? furthest(g.data, w.data) : distance(g.data, w.data);
    return d <= (whole ? steps : tolerance) ? [] : [`${name}: off by ${d.toExponential(2)}`];
  });
}
