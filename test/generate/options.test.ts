import { describe, expect, test } from 'vitest';
import { InvalidArgumentError, ModelFormatError, UnsupportedError } from '../../lib/errors.js';
import {
  type FileDefaults,
  noDefaults,
  parseGenerationConfig,
  parseModelConfigDefaults,
} from '../../lib/generate/generation_config.js';
import { flagOf, optionNames } from '../../lib/generate/option_table.js';
import { type GenerateOptions, type ResolvedOptions, resolveOptions } from '../../lib/generate/options.js';

const context = { vocabSize: 100, promptLength: 5 };
const resolve = (call: object = {}, file: FileDefaults = noDefaults): ResolvedOptions =>
  resolveOptions(call as GenerateOptions, file, context);
const file = (json: Record<string, unknown>): FileDefaults => parseGenerationConfig(json);

describe('defaults', () => {
  test('nothing given: greedy, 256 tokens, nothing else', () => {
    const { seed, ...rest } = resolve();
    expect(Number.isSafeInteger(seed) && seed >= 0).toBe(true);
    expect(rest).toEqual({
      mode: 'greedy',
      maxNewTokens: 256,
      minNewTokens: 0,
      temperature: 1,
      topK: 0,
      topP: 1,
      minP: 0,
      typicalP: 1,
      repetitionPenalty: 1,
      presencePenalty: 0,
      frequencyPenalty: 0,
      noRepeatNgramSize: 0,
      encoderNoRepeatNgramSize: 0,
      badWordsIds: [],
      suppressTokens: [],
      beginSuppressTokens: [],
      forcedBosTokenId: undefined,
      forcedEosTokenIds: [],
      eosTokenIds: [],
      numBeams: 1,
      numReturnSequences: 1,
      lengthPenalty: 1,
      earlyStopping: false,
      stopStrings: [],
      stopTokenIds: [],
      logprobs: 0,
      signal: undefined,
    });
  });

  test('length: of the call, of the file, its max_length less the prompt, 256', () => {
    const both = file({ max_new_tokens: 7, max_length: 30 });
    expect(resolve({ maxNewTokens: 3 }, both).maxNewTokens).toBe(3);
    expect(resolve({}, both).maxNewTokens).toBe(7);
    expect(resolve({}, file({ max_length: 30 })).maxNewTokens).toBe(25);
    expect(() => resolve({}, file({ max_length: 5 }))).toThrow(
      /5 tokens leave nothing of the checkpoint's max_length 5; pass maxNew/,
    );
    expect(resolve({}, file({ min_length: 8 })).minNewTokens).toBe(3);
    expect(resolve({ minNewTokens: 1 }, file({ min_length: 8 })).minNewTokens).toBe(1);
  });

  test.each<[object, Record<string, unknown>, ResolvedOptions['mode']]>([
    [{}, { do_sample: true }, 'sample'],
    [{}, { temperature: 0.6, top_k: 20 }, 'greedy'],
    [{ temperature: 0.5 }, {}, 'sample'],
    [{ topK: 5 }, {}, 'sample'],
    [{ topP: 0.5 }, {}, 'sample'],
    [{ minP: 0.5 }, {}, 'sample'],
    [{ typicalP: 0.5 }, {}, 'sample'],
    [{ temperature: 0 }, { do_sample: true }, 'greedy'],
    [{ temperature: 0, topP: 0.9 }, {}, 'greedy'],
    [{ doSample: false }, { do_sample: true, temperature: 0.6 }, 'greedy'],
    [{ doSample: true }, { temperature: 0 }, 'sample'],
    [{}, { do_sample: true, temperature: 0 }, 'greedy'],
    [{ numBeams: 3 }, {}, 'beam'],
    [{ numBeams: 3, temperature: 0 }, {}, 'beam'],
    [{ numBeams: 3, doSample: false }, { do_sample: true }, 'beam'],
  ])('%j over %j is %s', (call, json, mode) => {
    expect(resolve(call, file(json)).mode).toBe(mode);
  });

  test('the file gives what the call leaves out', () => {
    const given = file({
      temperature: 0.6,
      top_k: 20,
      eos_token_id: [2, 3],
      repetition_penalty: 1.1,
      early_stopping: 'never',
    });
    expect(resolve({ topP: 0.9, temperature: undefined }, given)).toMatchObject({
      mode: 'sample',
      temperature: 0.6,
      topK: 20,
      topP: 0.9,
      eosTokenIds: [2, 3],
      repetitionPenalty: 1.1,
      earlyStopping: 'never',
    });
    expect(resolve({ eosTokenId: [] }, given).eosTokenIds).toEqual([]);
  });

  test('stop: strings and ids', () => {
    expect(resolve({ stop: ['a', 7] })).toMatchObject({ stopStrings: ['a'], stopTokenIds: [7] });
    expect(resolve({ stop: 'a' })).toMatchObject({ stopStrings: ['a'], stopTokenIds: [] });
  });
});

describe('what a call has wrong', () => {
  test.each<[object, RegExp]>([
    [{ max_new_tokens: 5 }, /unknown option "max_new_tokens"; did you mean "maxNewTokens"\?/],
    [{ temprature: 1 }, /did you mean "temperature"/],
    [{ constructor: 1 }, /unknown option "constructor"/],
    [{ maxNewTokens: 0 }, /option "maxNewTokens": expected at least 1, got 0/],
    [{ maxNewTokens: 1.5 }, /expected an integer, got 1.5/],
    [{ maxNewTokens: '5' }, /expected an integer, got "5" of type string/],
    [{ maxNewTokens: null }, /got null of type null/],
    [{ temperature: -1 }, /expected at least 0, got -1/],
    [{ temperature: Number.NaN }, /expected a finite f32 number, got NaN/],
    [{ topK: -1 }, /at least 0/],
    [{ topK: 2 ** 31 }, /at most 2147483647/],
    [{ topP: 0 }, /expected above 0 and at most 1, got 0/],
    [{ topP: 1.1 }, /at most 1/],
    [{ minP: 2 }, /at most 1/],
    [{ typicalP: 0 }, /above 0/],
    [{ repetitionPenalty: 0 }, /above 0/],
    [{ presencePenalty: 3 }, /at most 2/],
    [{ eosTokenId: -1 }, /a token id or an array of token ids/],
    [{ eosTokenId: 100 }, /ids of option "eosTokenId" below the vocabulary's 100, got 100/],
    [{ forcedBosTokenId: 100 }, /below the vocabulary's 100/],
    [{ suppressTokens: [1, 200] }, /below the vocabulary's 100/],
    [{ badWordsIds: [[1], []] }, /non-empty arrays/],
    [{ badWordsIds: [[1, 100]] }, /below the vocabulary's 100/],
    [{ stop: '' }, /non-empty string/],
    [{ stop: ['a', 100] }, /below the vocabulary's 100/],
    [{ seed: -1 }, /at least 0/],
    [{ logprobs: 101 }, /at most the vocabulary's 100/],
    [{ earlyStopping: 'always' }, /true, false or 'never'/],
    [{ doSample: 1 }, /expected a boolean/],
    [{ signal: {} }, /expected an AbortSignal/],
    [{ doSample: true, temperature: 0 }, /contradicts temperature: 0/],
    [{ doSample: false, topP: 0.5 }, /contradicts topP: 0.5/],
    [{ minNewTokens: 6, maxNewTokens: 5 }, /contradicts maxNewTokens: 5/],
    [{ numReturnSequences: 2 }, /at most 1 in greedy mode, got 2/],
    [{ numReturnSequences: 4, numBeams: 3 }, /at most 3 in beam mode, got 4; raise numBeams/],
    [{ forcedEosTokenId: 3, suppressTokens: [3] }, /contradicts suppressTokens/],
  ])('%j', (call, message) => {
    expect(() => resolve(call)).toThrow(InvalidArgumentError);
    expect(() => resolve(call)).toThrow(message);
  });

  test.each<[object, RegExp]>([
    [{ assistantModel: {} }, /assistantModel/],
    [{ numBeams: 2, temperature: 0.5 }, /beam search with sampling/],
    [{ numBeams: 2, stop: 'x' }, /"stop" is not supported with numBeams/],
    [{ numBeams: 2, logprobs: 1 }, /"logprobs" is not supported with numBeams/],
  ])('%j is not built', (call, message) => {
    expect(() => resolve(call)).toThrow(UnsupportedError);
    expect(() => resolve(call)).toThrow(message);
  });

  test('no contradiction with a file', () => {
    expect(resolve({ maxNewTokens: 2 }, file({ min_new_tokens: 9 })).minNewTokens).toBe(9);
    expect(resolve({}, file({ num_return_sequences: 3 })).numReturnSequences).toBe(1);
    expect(resolve({ doSample: false }, file({ top_p: 0.5 })).mode).toBe('greedy');
  });
});

describe('files', () => {
  test('metadata and what says how are passed over, unknown keys listed', () => {
    const json = {
      _from_model_config: true,
      transformers_version: '4.44.0',
      use_cache: true,
      cache_implementation: 'hybrid',
      bos_token_id: 1,
      pad_token_id: [0, 1],
      decoder_start_token_id: -1,
      eos_token_id: 2,
      top_p: null,
      guidance_scale: 1,
      num_beam_groups: 1,
      chat_format: 'chatml',
      toString: 1,
    };
    expect(file(json)).toEqual({
      options: { eosTokenId: 2 },
      bosTokenId: 1,
      padTokenId: 0,
      ignored: ['chat_format', 'toString'],
    });
  });

  test.each([
    'epsilon_cutoff',
    'encoder_repetition_penalty',
    'guidance_scale',
    'penalty_alpha',
    'num_beam_groups',
    'max_time',
  ])('%s is not built, unless it changes nothing', (key) => {
    expect(() => file({ [key]: 0.5 })).toThrow(UnsupportedError);
    expect(() => file({ [key]: 0.5 })).toThrow(`generation_config.json: ${key} = 0.5 changes the result`);
    expect(file({ [key]: null })).toEqual(noDefaults);
  });

  test('malformed values name the key', () => {
    expect(() => file({ top_k: '50' })).toThrow(ModelFormatError);
    expect(() => file({ top_k: '50' })).toThrow(
      'generation_config.json: top_k: expected an integer, got "50" of type string',
    );
    expect(() => file({ max_length: 'long' })).toThrow(/expected max_length to be a length/);
    expect(() => file({ bos_token_id: {} })).toThrow(/expected bos_token_id to be a token id/);
  });

  test("config.json's older fields, and none of its others", () => {
    const json = {
      hidden_size: 64,
      max_length: 50,
      do_sample: true,
      eos_token_id: 2,
      diversity_penalty: 0.0,
      activation: 'x',
    };
    expect(parseModelConfigDefaults(json)).toEqual({
      options: { doSample: true, eosTokenId: 2 },
      maxLength: 50,
      ignored: [],
    });
    expect(() => parseModelConfigDefaults({ diversity_penalty: 0.5 })).toThrow(
      /config.json: diversity_penalty = 0.5/,
    );
  });
});

test('flags of the command line', () => {
  expect(optionNames.map(flagOf)).toContain('encoder-no-repeat-ngram-size');
  expect(new Set(optionNames.map(flagOf)).size).toBe(optionNames.length);
});
