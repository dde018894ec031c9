import { copyFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { inspectTextModel } from '../../lib/generate/inspect_text_model.js';
import {
  evaluateText,
  exportOnnx,
  InvalidArgumentError,
  loadSeq2SeqModel,
  loadTextModel,
  ModelFormatError,
  type TextModel,
  UnsupportedError,
} from '../../lib/index.js';
import { aren, hasAren } from '../models/aren.js';
import type { Json } from '../models/oracle_rope.js';
import { type CheckpointOptions, randomModel, writeCheckpoint } from '../models/tiny_checkpoint.js';

const blenderbot: Json = {
  model_type: 'blenderbot',
  vocab_size: 20,
  d_model: 16,
  encoder_layers: 1,
  encoder_attention_heads: 2,
  encoder_ffn_dim: 12,
  decoder_layers: 2,
  decoder_attention_heads: 4,
  decoder_ffn_dim: 12,
  max_position_embeddings: 24,
};
const llama: Json = {
  model_type: 'llama',
  vocab_size: 20,
  hidden_size: 16,
  intermediate_size: 12,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  max_position_embeddings: 16,
};

const written: string[] = [];
afterAll(() => Promise.all(written.map((directory) => rm(directory, { recursive: true }))));

/** A directory of random weights for `good`, whose config.json says `config`. */
async function write(good: Json, config: Json = {}, options: CheckpointOptions = {}): Promise<string> {
  const directory = await writeCheckpoint({ ...randomModel(good), config: { ...good, ...config } }, options);
  written.push(directory);
  return directory;
}

/** A tokenizer.json that makes a token of each letter. */
const letters = (text: string, first = 0): string =>
  JSON.stringify({
    version: '1.0',
    model: {
      type: 'BPE',
      vocab: Object.fromEntries([...text].map((letter, i) => [letter, first + i])),
      merges: [],
    },
  });

type Failure = new (message: string) => Error;

async function expectFailure(call: PromiseLike<unknown>, failure: Failure, message: RegExp): Promise<void> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(failure);
  expect((error as Error).message).toMatch(message);
}

describe('what is no encoder-decoder, or no model', () => {
  test('each function names the one that takes the other kind', async () => {
    const [encoded, plain] = [await write(blenderbot), await write(llama)];
    await expectFailure(loadTextModel(encoded), UnsupportedError, /"blenderbot".*loadSeq2SeqModel\(\)/);
    await expectFailure(loadSeq2SeqModel(plain), UnsupportedError, /"llama".*loadTextModel\(\)/);
    await expectFailure(exportOnnx(encoded, join(encoded, 'onnx')), UnsupportedError, /loadSeq2SeqModel\(\)/);
  });

  test('sources and options', async () => {
    const directory = await write(blenderbot);
    const none = undefined as unknown as string;
    await expectFailure(loadSeq2SeqModel(none), InvalidArgumentError, /loadSeq2SeqModel.*directory/);
    await expectFailure(loadSeq2SeqModel('no/such'), InvalidArgumentError, /no\/such/);
    const devise = { devise: 'cpu' } as object;
    await expectFailure(
      loadSeq2SeqModel(directory, devise),
      InvalidArgumentError,
      /^loadSeq2SeqModel.*"device"/,
    );
    await expectFailure(loadSeq2SeqModel(directory, { weights: 'q4' }), UnsupportedError, /q4/);
    await expectFailure(loadSeq2SeqModel(directory, { kvCache: 'q8' }), UnsupportedError, /kvCache/);
    const load = loadSeq2SeqModel(directory, { signal: AbortSignal.abort() });
    await expect(load).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('a configuration or weights that are unfit', () => {
  test.each<[string, Json, Failure, RegExp]>([
    ['no width', { d_model: null }, ModelFormatError, /d_model/],
    ['layers that are not there', { decoder_layers: null }, ModelFormatError, /decoder_layers/],
    ['no layers', { decoder_layers: 0 }, ModelFormatError, /decoder_layers.*at least 1.*got 0/],
    ['no positions', { max_position_embeddings: 0 }, ModelFormatError, /max_position_embeddings.*got 0/],
    [
      'heads that do not divide',
      { encoder_attention_heads: 3 },
      ModelFormatError,
      /d_model.*multiple of encoder_attention_heads 3, got 16/,
    ],
    ['an activation', { activation_function: 'maxout' }, UnsupportedError, /activation_function "maxout"/],
    ['norms after', { layernorm_variant: 'xlm' }, UnsupportedError, /layernorm_variant.*"xlm"/],
    ['no encoder', { is_encoder_decoder: false }, UnsupportedError, /is_encoder_decoder/],
    [
      'the start token',
      { decoder_start_token_id: 20 },
      ModelFormatError,
      /decoder_start_token_id.*0 to 19\), got 20/,
    ],
    [
      'another size',
      { decoder_ffn_dim: 13 },
      ModelFormatError,
      /decoder\.layers\.0\.fc1\.weight: expected shape \[13, 16\], got \[12, 16\]/,
    ],
    [
      'missing tensors',
      { encoder_layers: 2, tie_word_embeddings: false },
      ModelFormatError,
      /none for 17: lm_head\.weight.*encoder\.layers\.1\./,
    ],
  ])('%s', async (_, config, failure, message) => {
    await expectFailure(loadSeq2SeqModel(await write(blenderbot, config)), failure, message);
  });

  test('no start token at all', async () => {
    const directory = await write(blenderbot, {}, { generationConfig: {} });
    // The family's own.
    await using model = await loadSeq2SeqModel(directory);
    expect(model.bosTokenId).toBeUndefined();
    const none = await write(
      blenderbot,
      { decoder_start_token_id: null, bos_token_id: null },
      { generationConfig: {} },
    );
    await expectFailure(
      loadSeq2SeqModel(none),
      ModelFormatError,
      /decoder_start_token_id.*none.*bos_token_id/,
    );
  });

  test('a tokenizer that lacks the start token', async () => {
    const directory = await write(blenderbot, { decoder_start_token_id: 9 });
    await writeFile(join(directory, 'tokenizer.json'), letters('abc'));
    await expectFailure(
      loadSeq2SeqModel(directory),
      ModelFormatError,
      /tokenizer\.json: expected id 9, the decoder_start_token_id.*0 to 2.*trained with/,
    );
  });

  test.skipIf(!hasAren).each(['int16', 'int8'])('weights of %s', async (variant) => {
    const directory = await write(blenderbot);
    await copyFile(join(aren, `variants/model.${variant}.safetensors`), join(directory, 'model.safetensors'));
    await copyFile(join(aren, 'config.json'), join(directory, 'config.json'));
    const message = /expected floating point weights, got i(16|8): quantized checkpoints of this kind/;
    await expectFailure(loadSeq2SeqModel(directory), UnsupportedError, message);
  });
});

test('shared embeddings under the name of a side, or of all', async () => {
  const whole = randomModel(blenderbot);
  const shared = whole.weights.get('model.shared.weight');
  await using model = await loadSeq2SeqModel(await write(blenderbot));
  const want = await model.logits([1, 2, 3], [1]);
  for (const keep of [true, false]) {
    const weights = new Map(whole.weights);
    if (!keep) weights.delete('model.shared.weight');
    for (const side of keep ? ['encoder', 'decoder'] : ['decoder'])
      weights.set(`model.${side}.embed_tokens.weight`, shared as NonNullable<typeof shared>);
    const directory = await writeCheckpoint({ config: blenderbot, weights });
    written.push(directory);
    expect((await inspectTextModel(directory)).unusedTensors).toEqual([]);
    await using same = await loadSeq2SeqModel(directory);
    expect(await same.logits([1, 2, 3], [1])).toEqual(want);
    await expectFailure(
      evaluateText(same as unknown as TextModel, 'text'),
      InvalidArgumentError,
      /loadTextModel\(\)/,
    );
  }
});

describe('an input that is unfit', () => {
  test('text and ids', async () => {
    const directory = await write(blenderbot);
    await writeFile(join(directory, 'tokenizer.json'), letters('abcdefghijklmnopqrstuvwxyz'));
    await using model = await loadSeq2SeqModel(directory);
    await expectFailure(model.generate(''), InvalidArgumentError, /at least one token.*makes none/);
    await expectFailure(model.generate('ÄÖÜ'), InvalidArgumentError, /at least one token.*makes none/);
    await expectFailure(
      model.generate('abcz'),
      ModelFormatError,
      /tokenizer\.json.*0 to 19.*got 25.*trained with/,
    );
    await expectFailure(model.generate([]), InvalidArgumentError, /at least one token/);
    await expectFailure(model.generate([3, 20]), InvalidArgumentError, /0 to 19, got 20 at 1/);
    const long = new Array<number>(25).fill(1);
    await expectFailure(model.generate(long), InvalidArgumentError, /at most 24 tokens.*encoder.*got 25/);
    await expectFailure(model.generate('a'.repeat(25)), InvalidArgumentError, /at most 24 tokens.*got 25/);
    const none = null as unknown as string;
    await expectFailure(model.generate(none), InvalidArgumentError, /got null/);
    const message = [{ role: 'user', content: 'abc' }];
    await expectFailure(model.generate(message), UnsupportedError, /template/);
    await expectFailure(model.logits([], [1]), InvalidArgumentError, /^prompt: /);
    await expectFailure(model.logits([1], []), InvalidArgumentError, /^decoderIds: .*at least one/);
    await expectFailure(model.logits([1], [20]), InvalidArgumentError, /^decoderIds: .*got 20/);
    await expectFailure(
      model.logits([1], long),
      InvalidArgumentError,
      /^decoderIds: .*at most 24 tokens, the model's context/,
    );
    // What is refused has left nothing behind.
    expect((await model.generate('abc', { maxNewTokens: 3, eosTokenId: [] })).tokens).toHaveLength(3);
  });
});

test('defaults of generation are the family’s own where no file has them', async () => {
  const expected = { encoderNoRepeatNgramSize: 3, forcedEosTokenId: 2, eosTokenId: 2 };
  const { generation, sourceLength, contextLength, memory } = await inspectTextModel(await write(blenderbot));
  expect(generation).toEqual({
    options: expected,
    bosTokenId: 1,
    padTokenId: 0,
    decoderStartTokenId: 1,
  });
  expect([sourceLength, contextLength]).toEqual([24, 24]);
  expect(memory.kvBytesPerContext).toBe(48 * 3 * 2 * 16 * 4);
  const other = { encoder_no_repeat_ngram_size: 0, forced_eos_token_id: null };
  expect((await inspectTextModel(await write(blenderbot, other))).generation.options).toEqual({
    encoderNoRepeatNgramSize: 0,
    eosTokenId: 2,
  });
  const file = await write(blenderbot, {}, { generationConfig: { num_beams: 2 } });
  expect((await inspectTextModel(file)).generation).toEqual({ options: { numBeams: 2 } });
});
