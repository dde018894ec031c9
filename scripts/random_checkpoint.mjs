// node scripts/random_checkpoint.mjs SHAPE DIRECTORY [f32|bf16]: writes a Hugging Face directory with random weights of a real
// shape (default type bf16), for measurements: what it says means nothing. The directory must not exist. Takes a few seconds
// a gigabyte: matrices repeat one block of random numbers, each from a place of its own.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { textFamilyOf } from '../dist/models/registry.js';
import { buildTextGraph } from '../dist/models/text_graph.js';
import { configReader } from '../dist/weights/config.js';
import { writeSafetensors } from '../dist/weights/write_safetensors.js';

const llamaLike = { rms_norm_eps: 1e-5, rope_theta: 10000, hidden_act: 'silu' };

/** Configurations by name; `tokenizer`: with a tokenizer.json of bytes. */
export const shapes = {
  'gpt2-124m': {
    config: {
      model_type: 'gpt2',
      vocab_size: 50257,
      n_positions: 1024,
      n_embd: 768,
      n_layer: 12,
      n_head: 12,
    },
  },
  'qwen2-0.5b': {
    config: {
      ...llamaLike,
      model_type: 'qwen2',
      vocab_size: 151936,
      max_position_embeddings: 32768,
      hidden_size: 896,
      intermediate_size: 4864,
      num_hidden_layers: 24,
      num_attention_heads: 14,
      num_key_value_heads: 2,
      tie_word_embeddings: true,
    },
  },
  'tinyllama-1.1b': {
    config: {
      ...llamaLike,
      model_type: 'llama',
      vocab_size: 32000,
      max_position_embeddings: 2048,
      hidden_size: 2048,
      intermediate_size: 5632,
      num_hidden_layers: 22,
      num_attention_heads: 32,
      num_key_value_heads: 4,
    },
  },
  'blenderbot-400m': {
    config: {
      model_type: 'blenderbot',
      vocab_size: 8008,
      max_position_embeddings: 128,
      d_model: 1280,
      encoder_layers: 2,
      encoder_attention_heads: 32,
      encoder_ffn_dim: 5120,
      decoder_layers: 12,
      decoder_attention_heads: 32,
      decoder_ffn_dim: 5120,
      scale_embedding: true,
    },
  },
  // Two million parameters: 4 MB in bf16.
  'llama-4mb': {
    config: {
      ...llamaLike,
      model_type: 'llama',
      vocab_size: 258,
      max_position_embeddings: 1024,
      hidden_size: 192,
      intermediate_size: 512,
      num_hidden_layers: 5,
      num_attention_heads: 6,
      num_key_value_heads: 2,
      bos_token_id: 256,
      eos_token_id: 257,
    },
    tokenizer: true,
  },
};

/** Numbers in the block that matrices repeat: a prime, so that rows of no width begin at the same places. */
const blockLength = 1_048_573;
const spread = 0.02;

/** Normally distributed f32 numbers, the same each time. */
function randomNumbers() {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 1) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return Float32Array.from({ length: blockLength }, () => spread * normal());
}

/** f32 numbers in the type's bits: of bf16, those of the number cut short, which is as random. */
const inType = (dtype, numbers) =>
  dtype === 'f32' ? numbers : Uint16Array.from(new Uint32Array(numbers.buffer), (bits) => bits >>> 16);

/** `count` numbers of the block from `at` on, again from its beginning at its end. */
function repeat(block, count, at) {
  const data = new block.constructor(count);
  let from = at % block.length;
  for (let done = 0; done < count; from = 0) {
    const part = block.subarray(from, from + Math.min(block.length - from, count - done));
    data.set(part, done);
    done += part.length;
  }
  return data;
}

/** The parameters of a configuration, by the model family itself: name and shape as stored. */
function parametersOf(config) {
  const reader = configReader(config, 'config.json');
  const family = textFamilyOf(reader);
  const model = family.readConfig(reader);
  /** @type {(output: 'logits' | 'encode') => [string, { name: string, shape: readonly (string | number)[] }][]} */
  const leaves = (output) => [
    ...buildTextGraph(family, model, { output, dtypeOf: () => 'f32', blocks: 1 }).params,
  ];
  const params = [...leaves('logits'), ...(family.encode ? leaves('encode') : [])];
  return [...new Map(params).values()].map(({ name, shape }) => ({
    name,
    shape: (family.layout.transposed?.test(name) ? shape.toReversed() : shape).map(Number),
  }));
}

/** A tokenizer.json whose tokens are the 256 bytes, a beginning of texts and an end. */
function byteTokenizer() {
  const vocab = Array.from({ length: 256 }, (_, byte) => [
    `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
    byte,
  ]);
  const added = ['<s>', '</s>'].map((content, i) => ({ id: 256 + i, content, special: true }));
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return {
    version: '1.0',
    added_tokens: added.map((token) => ({ ...token, ...flags })),
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { '<s>': { id: '<s>', ids: [256], tokens: ['<s>'] } },
    },
    decoder: { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, { type: 'Fuse' }] },
    model: { type: 'BPE', vocab: Object.fromEntries(vocab), merges: [], byte_fallback: true },
  };
}

/**
 * Writes a random checkpoint; `directory` must not exist.
 * @param {string} name of a shape
 * @param {string} directory
 * @param {'f32' | 'bf16'} dtype
 */
export async function writeRandomCheckpoint(name, directory, dtype = 'bf16') {
  const { config, tokenizer } = shapes[name];
  await mkdir(directory);
  try {
    await writeFile(path.join(directory, 'config.json'), JSON.stringify(config, null, 2));
    if (tokenizer) await writeFile(path.join(directory, 'tokenizer.json'), JSON.stringify(byteTokenizer()));
    const block = inType(dtype, randomNumbers());
    const [one] = inType(dtype, Float32Array.of(1));
    const tensors = parametersOf(config).map((parameter, i) => ({
      ...parameter,
      dtype,
      data: () => {
        const { name: tensor, shape } = parameter;
        const count = shape.reduce((n, d) => n * d, 1);
        const isNorm = shape.length === 1 && tensor.endsWith('.weight');
        const data = isNorm ? new block.constructor(count).fill(one) : repeat(block, count, i * 7919);
        return Promise.resolve(data);
      },
    }));
    await writeSafetensors(path.join(directory, 'model.safetensors'), tensors);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name = '', directory, dtype = 'bf16'] = process.argv.slice(2);
  if (!directory || !Object.hasOwn(shapes, name) || (dtype !== 'f32' && dtype !== 'bf16')) {
    console.error(
      `usage: node scripts/random_checkpoint.mjs ${Object.keys(shapes).join('|')} DIRECTORY [f32|bf16]`,
    );
    process.exit(2);
  }
  await writeRandomCheckpoint(name, directory, dtype);
}
