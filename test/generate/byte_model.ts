import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OracleModel } from '../models/oracle.js';
import type { Json } from '../models/oracle_rope.js';
import { randomModel, writeCheckpoint } from '../models/tiny_checkpoint.js';

export interface ByteModelOptions {
  /** Positions of the context; default 16. */
  readonly context?: number;
  /** Default: id 256, the one that is no byte. `none`: the model has no BOS. */
  readonly bos?: number | 'none';
  /** Every token is as probable as any other. */
  readonly uniform?: boolean;
}

/** Ids 0 to 255 are the bytes, 256 is the beginning of a text. */
export const byteVocabulary = 257;

/** A tokenizer.json that makes a token of each byte. */
function byteTokenizer(): Json {
  const hex = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, '0');
  const vocab = Object.fromEntries(Array.from({ length: 256 }, (_, byte) => [`<0x${hex(byte)}>`, byte]));
  const bos = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    version: '1.0',
    added_tokens: [{ id: 256, content: '<s>', ...bos }],
    // What encode() would put there by itself: the evaluation has its own.
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { '<s>': { id: '<s>', ids: [256], tokens: ['<s>'] } },
    },
    decoder: { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, { type: 'Fuse' }] },
    model: { type: 'BPE', vocab, merges: [], byte_fallback: true },
  };
}

/** Writes a small random Llama over bytes. */
export async function writeByteModel(options: ByteModelOptions = {}): Promise<string> {
  const { context = 16, bos = 256, uniform = false } = options;
  const model = randomModel({
    model_type: 'llama',
    hidden_size: 16,
    intermediate_size: 24,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    vocab_size: byteVocabulary,
    max_position_embeddings: context,
    ...(bos === 'none' ? {} : { bos_token_id: bos }),
  });
  const directory = await writeCheckpoint(uniform ? withoutPreference(model) : model);
  await writeFile(join(directory, 'tokenizer.json'), JSON.stringify(byteTokenizer()));
  return directory;
}

/** The model with an output layer of zeros. */
function withoutPreference(model: OracleModel): OracleModel {
  const weights = new Map(model.weights);
  const head = weights.get('lm_head.weight');
  if (!head) throw new Error('expected an output layer of its own');
  weights.set('lm_head.weight', { shape: head.shape, data: new Float32Array(head.data.length) });
  return { ...model, weights };
}

/** Removes what {@link writeByteModel} wrote. */
export const removeModels = (directories: readonly string[]): Promise<unknown> =>
  Promise.all(directories.map((directory) => rm(directory, { recursive: true, force: true })));
