import type { DType } from '../../lib/dtype.js';
import type { Graph } from '../../lib/ir/graph.js';
import { blenderbot } from '../../lib/models/blenderbot.js';
import type { TextConfig, TextFamily } from '../../lib/models/family.js';
import { gpt2 } from '../../lib/models/gpt2.js';
import { llama } from '../../lib/models/llama.js';
import { mistral } from '../../lib/models/mistral.js';
import { qwen2 } from '../../lib/models/qwen2.js';
import { qwen3 } from '../../lib/models/qwen3.js';
import { buildTextGraph, type TextGraphOptions } from '../../lib/models/text_graph.js';
import { buildLossGraph, type LossGraphOptions } from '../../lib/train/loss_graph.js';
import { configReader } from '../../lib/weights/config.js';
import { floats, named } from '../random.js';
import type { Program } from '../replay.js';

const blocks = 8;
const layers = 2;
const shared = {
  vocab_size: 41,
  hidden_size: 24,
  intermediate_size: 40,
  num_hidden_layers: layers,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
};

const graphOf = <C extends TextConfig>(
  family: TextFamily<C>,
  config: Record<string, unknown>,
  dtypeOf: (name: string) => DType = () => 'f32',
  output: TextGraphOptions['output'] = 'logits',
): Graph =>
  buildTextGraph(family, family.readConfig(configReader(config as never, 'config.json')), {
    output,
    dtypeOf,
    blocks,
  });

const encoderDecoder = {
  vocab_size: 41,
  max_position_embeddings: 64,
  d_model: 24,
  encoder_layers: layers,
  encoder_attention_heads: 4,
  encoder_ffn_dim: 40,
  decoder_layers: layers,
  decoder_attention_heads: 3,
  decoder_ffn_dim: 40,
  scale_embedding: true,
};

/** A Llama's loss and gradients, as training builds them. */
export const tinyLossGraph = (options: Pick<LossGraphOptions, 'recompute'>): Graph =>
  buildLossGraph(llama, llama.readConfig(configReader(shared as never, 'config.json')), {
    compute: 'f32',
    labelSmoothing: 0,
    gradients: true,
    ...options,
  }).graph;

/** What puts the source of an encoder-decoder into the cache. */
export const tinyEncoder = (): Graph => graphOf(blenderbot, encoderDecoder, undefined, 'encode');

/** Graphs of two layers: every way in which q, k and v come, norms, biases, gates. */
export const tinyModels: Readonly<Record<string, () => Graph>> = {
  llama: () => graphOf(llama, shared),
  'llama with biases, dynamic rope': () =>
    graphOf(llama, {
      ...shared,
      attention_bias: true,
      mlp_bias: true,
      rope_scaling: { type: 'dynamic', factor: 2 },
    }),
  'llama of mixed types': () =>
    graphOf(llama, shared, (name) => (/k_proj|up_proj/.test(name) ? 'bf16' : 'f32')),
  mistral: () => graphOf(mistral, { ...shared, sliding_window: 5, head_dim: 10 }),
  qwen2: () => graphOf(qwen2, shared),
  qwen3: () => graphOf(qwen3, { ...shared, head_dim: 8, tie_word_embeddings: true }),
  gpt2: () => graphOf(gpt2, { vocab_size: 41, n_positions: 64, n_embd: 24, n_layer: layers, n_head: 3 }),
  blenderbot: () => graphOf(blenderbot, encoderDecoder),
};

/** Two sequences of 9 and 20 tokens from their beginning, all logits, over parameters at random. */
export function programOf(graph: Graph): Program {
  const lengths = [9, 20];
  const T = 29;
  const next = named('tokens');
  const rows = lengths.flatMap((n, b) =>
    Array.from({ length: n }, (_, i) => ({ position: i, slot: (3 - 2 * b) * 16 + i })),
  );
  const i32: Record<string, { shape: number[]; data: number[] }> = {
    tokens: { shape: [T], data: Array.from({ length: T }, () => Math.floor(41 * next())) },
    positions: { shape: [T], data: rows.map((r) => r.position) },
    slots: { shape: [T], data: rows.map((r) => r.slot) },
    q_starts: { shape: [3], data: [0, 9, 29] },
    context_lens: { shape: [2], data: lengths },
    block_tables: { shape: [2, 2], data: [3, 0, 1, 2] },
    // Each reads what the other is just writing.
    source_lens: { shape: [2], data: [20, 5] },
    source_tables: { shape: [2, 3], data: [1, 2, 0, 3, 0, 0] },
    logit_rows: { shape: [T], data: rows.map((_, i) => i) },
    rope_set: { shape: [T], data: rows.map((_, i) => (i < 9 ? 0 : 1)) },
    rope_inv_freq: { shape: [2, 3], data: floats(next, 6, 0.01, 1) },
  };
  const params = [...graph.params.values()].map((v) => {
    const shape = v.shape as number[];
    const norm = shape.length === 1 && v.name.includes('norm');
    return [
      v.name,
      {
        shape,
        data: floats(
          named(v.name),
          shape.reduce((n, d) => n * d, 1),
          norm ? 0.5 : -0.4,
          norm ? 1.5 : 0.4,
        ),
      },
    ];
  });
  const inputs = Object.fromEntries(
    [...graph.inputs.keys()].map((name) => [name, i32[name] ?? { shape: [], data: [] }]),
  );
  return { graph, feed: { inputs, params: Object.fromEntries(params) } };
}
