import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import { describe, expect, test } from 'vitest';
import { UnsupportedError } from '../../lib/errors.js';
import { Graph } from '../../lib/ir/graph.js';
import { ShapeError } from '../../lib/ir/shape.js';
import { llama } from '../../lib/models/llama.js';
import { buildPaddedTextGraph, buildTextGraph } from '../../lib/models/text_graph.js';
import { encodeModel } from '../../lib/onnx/encode_model.js';
import type { StoredParam } from '../../lib/onnx/graph_builder.js';
import { lowerGraph } from '../../lib/onnx/lower_graph.js';
import { nameOutputs } from '../../lib/onnx/name_outputs.js';
import { kvWrite } from '../../lib/ops/kv_write.js';
import { reshape } from '../../lib/ops/reshape.js';
import { sample } from '../../lib/ops/sample.js';
import { floatColumns, intColumns } from '../../lib/ops/sampling/row.js';
import { unary } from '../../lib/ops/unary.js';
import { configReader } from '../../lib/weights/config.js';

const config = llama.readConfig(
  configReader(
    {
      model_type: 'llama',
      vocab_size: 30,
      hidden_size: 16,
      intermediate_size: 24,
      num_hidden_layers: 3,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      max_position_embeddings: 64,
    },
    'config.json',
  ),
);
const param = (value: { readonly shape: readonly (number | string)[] }): StoredParam => ({
  dtype: 'f32',
  shape: value.shape as number[],
  transposed: false,
  data: { location: 'weights', offset: 0, bytes: 4 },
});
const lower = (graph: Graph) => lowerGraph(graph, { param });
const text = (output: 'logits' | 'sample' | 'hidden') =>
  lower(buildTextGraph(llama, config, { output, dtypeOf: () => 'f32', blocks: 8 }));

describe('a text graph', () => {
  test('is the same model whether logits or sampled ids are wanted, so that both share one session', () => {
    const [logits, ids, hidden] = (['logits', 'sample', 'hidden'] as const).map((output) =>
      Buffer.from(encodeModel(text(output).model)).toString('hex'),
    );
    expect(ids).toBe(logits);
    expect(hidden).not.toBe(logits);
    expect(text('sample').rest.map(({ op }) => op)).toEqual(['sample']);
    expect(text('logits').rest).toEqual([]);
  });

  test('is made of standard operators alone', () => {
    for (const graph of [
      text('logits').model,
      nameOutputs(lower(buildPaddedTextGraph(llama, config, () => 'f32'))),
    ])
      expect(graph.nodes.filter(({ domain }) => domain !== '')).toEqual([]);
  });

  test('computes masks and positions once, however many layers use them', () => {
    const operators = text('logits').model.nodes.map(({ operator }) => operator);
    const count = (name: string): number => operators.filter((operator) => operator === name).length;
    expect(count('Attention')).toBe(3);
    expect(count('Cos')).toBe(1);
    expect(count('And')).toBe(1);
    expect(count('NonZero')).toBe(1);
  });

  test('hands out the rows that it writes, and no state', () => {
    const { writes, model } = text('logits');
    expect(writes.map(({ state }) => state).sort()).toEqual(
      [0, 1, 2].flatMap((i) => [`k_cache.${i}`, `v_cache.${i}`]).sort(),
    );
    const pool = 8 * 16;
    expect(model.inputs.find(({ name }) => name === 'k_cache.0')?.shape).toEqual([pool, 2, 4]);
    expect(model.outputs.some(({ shape }) => shape[0] === pool)).toBe(false);
  });
});

test('a padded graph has the names that optimum gives', () => {
  const bytes = encodeModel(nameOutputs(lower(buildPaddedTextGraph(llama, config, () => 'f32'))));
  const { graph, opsetImport } = fromBinary(ModelProtoSchema, bytes);
  const layers = [0, 1, 2].flatMap((i) => [`${i}.key`, `${i}.value`]);
  expect(graph?.input.map(({ name }) => name).sort()).toEqual(
    ['attention_mask', 'input_ids', 'position_ids', ...layers.map((l) => `past_key_values.${l}`)].sort(),
  );
  expect(graph?.output.map(({ name }) => name)).toEqual(['logits', ...layers.map((l) => `present.${l}`)]);
  expect(opsetImport.map(({ domain, version }) => [domain, Number(version)])).toEqual([['', 23]]);
  expect(
    graph?.initializer.every(
      ({ rawData, externalData }) => (rawData?.length ?? 0) < 1000 || externalData.length > 0,
    ),
  ).toBe(true);
});

test('an op after one that ONNX has no form of is refused by name', () => {
  const graph = new Graph();
  const { logprobs } = sample(
    {
      logits: graph.input('logits', 'f32', ['R', 9]),
      row_floats: graph.input('row_floats', 'f32', ['R', floatColumns]),
      row_ints: graph.input('row_ints', 'i32', ['R', intColumns]),
      lists: graph.input('lists', 'i32', ['L']),
    },
    { k: 'K' },
  );
  graph.output('y', unary('exp', logprobs));
  expect(() => lower(graph)).toThrow(UnsupportedError);
  expect(() => lower(graph)).toThrow(/"unary" comes after sample/);
});

test('a state is read by rows only', () => {
  const graph = new Graph();
  const [k_cache, v_cache] = ['k', 'v'].map((name) => graph.state(name, 'f32', [2, 16, 1, 4])) as [
    ReturnType<Graph['state']>,
    ReturnType<Graph['state']>,
  ];
  const k = graph.input('rows', 'f32', ['T', 1, 4]);
  const next = kvWrite({ k, v: k, k_cache, v_cache, slots: graph.input('slots', 'i32', ['T']) });
  graph.output('y', reshape(next.k_cache, [128]));
  expect(() => lower(graph)).toThrow(ShapeError);
  expect(() => lower(graph)).toThrow(/Reshape reads state "k" other than by rows/);
});

test('state does not go into a model file', () => {
  expect(() => nameOutputs(text('logits'))).toThrow(/state "k_cache.0" cannot be kept/);
  expect(() => nameOutputs(text('sample'))).toThrow(/"sample" has no form in ONNX/);
});
