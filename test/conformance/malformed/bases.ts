import { roundTo } from '../../../lib/dtype.js';
import { randomModel } from '../../models/tiny_checkpoint.js';
import { type Json, jsonText } from './json_text.js';

/** A directory's files by name. */
export type Files = Readonly<Record<string, string | Uint8Array>>;

export interface HeaderEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly number[];
}

/** A safetensors file before it is bytes. */
export interface Weights {
  readonly header: Readonly<Record<string, HeaderEntry>>;
  readonly data: Uint8Array;
}

export const weightsName = 'model.safetensors';
export const indexName = 'model.safetensors.index.json';
export const shardNames = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'] as const;

const vocabulary = 330;
const common = { vocab_size: vocabulary, bos_token_id: 1, eos_token_id: 2 };
const llamaLike = {
  ...common,
  hidden_size: 16,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 48,
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  rope_theta: 10000,
};

/** Small models that work: what every mutant is made of. */
export const configs = {
  gpt2: {
    ...common,
    model_type: 'gpt2',
    n_embd: 12,
    n_head: 3,
    n_layer: 2,
    n_positions: 48,
    n_inner: 20,
    layer_norm_epsilon: 1e-5,
    activation_function: 'gelu_new',
  },
  llama: {
    ...llamaLike,
    model_type: 'llama',
    head_dim: 6,
    attention_bias: true,
    rope_scaling: {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 24,
    },
  },
  mistral: {
    ...llamaLike,
    model_type: 'mistral',
    sliding_window: 16,
    rope_scaling: {
      rope_type: 'yarn',
      factor: 4,
      original_max_position_embeddings: 12,
      beta_fast: 32,
      beta_slow: 1,
      mscale: 1,
      mscale_all_dim: 0.5,
      attention_factor: 1.1,
    },
  },
  qwen2: {
    ...llamaLike,
    model_type: 'qwen2',
    use_sliding_window: true,
    sliding_window: 8,
    max_window_layers: 1,
    rope_scaling: { type: 'dynamic', factor: 2 },
  },
  qwen3: {
    ...llamaLike,
    model_type: 'qwen3',
    head_dim: 8,
    tie_word_embeddings: false,
    layer_types: ['full_attention', 'sliding_attention'],
    rope_scaling: { rope_type: 'linear', factor: 2 },
  },
  blenderbot: {
    ...common,
    model_type: 'blenderbot',
    is_encoder_decoder: true,
    decoder_start_token_id: 1,
    d_model: 16,
    encoder_layers: 1,
    encoder_attention_heads: 2,
    encoder_ffn_dim: 12,
    decoder_layers: 2,
    decoder_attention_heads: 4,
    decoder_ffn_dim: 20,
    max_position_embeddings: 48,
    activation_function: 'gelu',
    scale_embedding: true,
    tie_word_embeddings: true,
    encoder_no_repeat_ngram_size: 3,
    forced_eos_token_id: 2,
  },
} as const satisfies Record<string, Json>;

export type FamilyName = keyof typeof configs;
export const familyNames = Object.keys(configs) as FamilyName[];

export const generationConfig = {
  bos_token_id: 1,
  eos_token_id: [2, 3],
  pad_token_id: 0,
  max_length: 40,
  max_new_tokens: 12,
  min_new_tokens: 1,
  do_sample: true,
  temperature: 0.8,
  top_k: 20,
  top_p: 0.9,
  min_p: 0.01,
  typical_p: 0.95,
  repetition_penalty: 1.1,
  no_repeat_ngram_size: 3,
  encoder_no_repeat_ngram_size: 0,
  bad_words_ids: [[7, 8], [9]],
  suppress_tokens: [10, 11],
  begin_suppress_tokens: [12],
  forced_bos_token_id: null,
  forced_eos_token_id: 2,
  num_beams: 1,
  num_return_sequences: 2,
  length_penalty: 1,
  early_stopping: false,
  guidance_scale: 1,
  transformers_version: '4.50.0',
} as const;

function bytesOf(values: Float32Array, dtype: 'F32' | 'BF16'): Uint8Array {
  if (dtype === 'F32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const rounded = Float32Array.from(values, (x) => roundTo('bf16', x));
  const halves = new Uint16Array(rounded.buffer);
  return new Uint8Array(Uint16Array.from(rounded, (_, i) => halves[2 * i + 1] as number).buffer);
}

/** The weights of a family, or the share of them that one of `shards` files has. */
export function weightsOf(
  family: FamilyName,
  dtype: 'F32' | 'BF16' = 'F32',
  [shard, shards] = [0, 1],
): Weights {
  const header: Record<string, HeaderEntry> = {};
  const parts: Uint8Array[] = [];
  let begin = 0;
  [...randomModel(configs[family]).weights].forEach(([name, { shape, data }], i) => {
    if (i % shards !== shard) return;
    const bytes = bytesOf(data, dtype);
    parts.push(bytes);
    header[name] = { dtype, shape, data_offsets: [begin, begin + bytes.length] };
    begin += bytes.length;
  });
  return { header, data: Buffer.concat(parts) };
}

/** The bytes of a file of this header (its very text), data, and stated length. */
export function fileOf(header: string, data: Uint8Array, statedLength?: bigint): Uint8Array {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt.asUintN(64, statedLength ?? BigInt(text.length)));
  return Buffer.concat([length, text, data]);
}

const wholeFile = ({ header, data }: Weights): Uint8Array => fileOf(jsonText(header), data);

/** The files of a family that works; in shards, with their index, if so asked. */
export function checkpointOf(family: FamilyName, { shards = false, bf16 = false } = {}): Files {
  const dtype = bf16 ? 'BF16' : 'F32';
  const config = { 'config.json': jsonText(configs[family]) };
  if (!shards) return { ...config, [weightsName]: wholeFile(weightsOf(family, dtype)) };
  const parts = shardNames.map((name, i) => ({
    name,
    weights: weightsOf(family, dtype, [i, shardNames.length]),
  }));
  return {
    ...config,
    ...Object.fromEntries(parts.map(({ name, weights }) => [name, wholeFile(weights)])),
    [indexName]: jsonText(indexOf(family)),
  };
}

/** The index of {@link checkpointOf} in shards. */
export function indexOf(family: FamilyName): { metadata: Json; weight_map: Record<string, string> } {
  const names = [...randomModel(configs[family]).weights.keys()];
  return {
    metadata: { total_size: 0 },
    weight_map: Object.fromEntries(names.map((name, i) => [name, shardNames[i % 2] as string])),
  };
}
