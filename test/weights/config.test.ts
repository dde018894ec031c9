import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ModelFormatError, UnsupportedError } from '../../lib/errors.js';
import { checkBaseFields, configReader } from '../../lib/weights/config.js';
import { parseJsonObject } from '../../lib/weights/json_file.js';
import { goldenRoot, hasGoldens } from './fixtures.js';

const read = (config: Record<string, unknown>) => configReader(config, 'config.json');

describe('perLayer', () => {
  const width = { integer: true, min: 1 };

  test('a number for all layers, or one for each', () => {
    expect(read({ n: 8 }).perLayer('n', 3, width)).toEqual([8, 8, 8]);
    expect(read({ n: [8, 6, 1] }).perLayer('n', 3, width)).toEqual([8, 6, 1]);
    expect(read({ n: 8 }).perLayer('n', 0, width)).toEqual([]);
  });

  test.each([
    [undefined, /got no such field/],
    [0, /an integer of at least 1 and at most 67108864, or a list of one for each of 3 layers, got 0/],
    [[8, 6], /got \[8,6\]|got \[8, 6\]/],
    [[8, 6, 0], /a list of one for each of 3 layers/],
    [[8, 6, null], /a list of one for each of 3 layers/],
    ['8', /got "8"/],
  ])('%j is a ModelFormatError', (n, message) => {
    const config = read(n === undefined ? {} : { n });
    expect(() => config.perLayer('n', 3, width)).toThrow(ModelFormatError);
    expect(() => config.perLayer('n', 3, width)).toThrow(message);
  });
});

describe('num', () => {
  const dim = { integer: true, min: 1 };

  test('gives the value, or the default where the field is absent or null', () => {
    const config = read({ hidden_size: 64, n_inner: null, rms_norm_eps: 1e-5 });
    expect(config.num('hidden_size', dim)).toBe(64);
    expect(config.num('n_inner', { ...dim, default: 256 })).toBe(256);
    expect(config.num('head_dim', { ...dim, default: 8 })).toBe(8);
    expect(config.num('rms_norm_eps')).toBe(1e-5);
    expect(config.num('sliding_window', { ...dim, default: 0 })).toBe(0); // the rule binds the file, not the family
  });

  test.each<[string, unknown, RegExp]>([
    [
      'absent',
      undefined,
      /config.json: expected n to be an integer of at least 1 and at most 67108864, got no such field/,
    ],
    ['null', null, /got no such field/],
    ['a string', '64', /got "64"/],
    ['true', true, /got true/],
    ['a list', [64], /got \[64\]/],
    ['a fraction', 1.5, /got 1.5/],
    ['zero', 0, /got 0/],
    ['negative', -64, /got -64/],
    ['huge', 2 ** 27, /got 134217728/],
    ['beyond integers', 1e300, /got 1e\+300/],
    ['infinite', JSON.parse('1e999'), /got Infinity/],
    ['not a number', Number.NaN, /got NaN/],
  ])('a dimension that is %s is a ModelFormatError', (_, n, message) => {
    expect(() => read(n === undefined ? {} : { n }).num('n', dim)).toThrow(ModelFormatError);
    expect(() => read({ n }).num('n', dim)).toThrow(message);
  });

  test('a real number may have any size that f32 has', () => {
    expect(read({ x: -3e38 }).num('x')).toBe(-3e38);
    expect(() => read({ x: 1e39 }).num('x')).toThrow(/a finite f32 number, got 1e\+39/);
    expect(() => read({ x: -1e39 }).num('x')).toThrow(/a finite f32 number, got -1e\+39/);
    expect(() => read({ x: Number.POSITIVE_INFINITY }).num('x')).toThrow(/a finite f32 number/);
    expect(() => read({ x: Number.NEGATIVE_INFINITY }).num('x')).toThrow(
      /a finite f32 number, got -Infinity/,
    );
    expect(() => read({ x: -1 }).num('x', { min: 0 })).toThrow(/a finite f32 number of at least 0, got -1/);
    expect(() => read({ x: 2 }).num('x', { max: 1 })).toThrow(/at most 1/);
  });

  test('two dimensions multiply to an exact integer', () => {
    const largest = read({ n: 2 ** 26 }).num('n', { integer: true });
    expect(Number.isSafeInteger(largest * largest)).toBe(true);
  });

  test('properties of every object are no fields', () => {
    expect(() => read({}).num('constructor')).toThrow(/no such field/);
    expect(read({}).has('toString')).toBe(false);
  });
});

describe('other kinds', () => {
  test('bool: null is false whatever the default', () => {
    const config = read({ yes: true, none: null, one: 1 });
    expect(config.bool('yes')).toBe(true);
    expect(config.bool('none', { default: true })).toBe(false);
    expect(config.bool('absent', { default: true })).toBe(true);
    expect(() => config.bool('absent')).toThrow(/absent to be true or false, got no such field/);
    expect(() => config.bool('one')).toThrow(/got 1/);
  });

  test('str and oneOf: a word that is not supported is UnsupportedError, another kind ModelFormatError', () => {
    const config = read({ hidden_act: 'gelu', n: 1 });
    expect(config.str('hidden_act')).toBe('gelu');
    expect(config.oneOf('hidden_act', ['silu', 'gelu'])).toBe('gelu');
    expect(config.oneOf('absent', ['silu', 'gelu'], { default: 'silu' })).toBe('silu');
    expect(() => config.oneOf('hidden_act', ['silu', 'relu'])).toThrow(UnsupportedError);
    expect(() => config.oneOf('hidden_act', ['silu', 'relu'])).toThrow(
      /hidden_act to be one of silu, relu, got "gelu"/,
    );
    expect(() => config.oneOf('n', ['silu'])).toThrow(ModelFormatError);
    expect(() => config.str('absent')).toThrow(ModelFormatError);
  });

  test('integers', () => {
    const rule = { default: [7], min: 1, max: 9 };
    const config = configReader(
      { list: [1, 9], none: [], low: [0], high: [10], half: [1.5], text: ['1'], one: 1, null: null },
      'config.json',
    );
    expect(config.integers('list', rule)).toEqual([1, 9]);
    expect(config.integers('none', rule)).toEqual([]);
    expect(config.integers('absent', rule)).toEqual([7]);
    expect(config.integers('null', rule)).toEqual([7]);
    for (const key of ['low', 'high', 'half', 'text', 'one'])
      expect(() => config.integers(key, rule)).toThrow(
        /config.json: expected \w+ to be a list of integers from 1 to 9/,
      );
  });

  test('strings', () => {
    const config = read({ layer_types: ['a', 'b'], mixed: ['a', 1], text: 'a' });
    expect(config.strings('layer_types')).toEqual(['a', 'b']);
    expect(config.strings('absent')).toBeUndefined();
    expect(() => config.strings('mixed')).toThrow(/a list of strings, got \["a", 1\]/);
    expect(() => config.strings('text')).toThrow(ModelFormatError);
  });

  test('object: messages and ignored fields say where', () => {
    const config = read({
      rope_scaling: { rope_type: 'llama3', factor: 'x', other: 1 },
      none: null,
      list: [],
    });
    const scaling = config.object('rope_scaling');
    expect(scaling?.str('rope_type')).toBe('llama3');
    expect(() => scaling?.num('factor')).toThrow(
      'config.json: rope_scaling: expected factor to be a finite f32 number, got "x"',
    );
    expect(config.object('none')).toBeUndefined();
    expect(() => config.object('list')).toThrow(/an object, got \[\]/);
    expect(config.object('rope_scaling')).toBe(scaling);
    expect(config.ignored()).toEqual(['rope_scaling.other']);
  });

  test('only', () => {
    const config = read({ a: true, b: {}, c: null });
    expect(() => config.only('a', true)).not.toThrow();
    expect(() => config.only('b', {})).not.toThrow();
    expect(() => config.only('c', 3)).not.toThrow();
    expect(() => config.only('absent', 3)).not.toThrow();
    expect(() => config.only('a', false)).toThrow(UnsupportedError);
    expect(() => config.only('a', false)).toThrow(/a to be false, got true/);
  });
});

describe('ignored', () => {
  test('lists what nobody asked for, without what has no effect', () => {
    const config = read({
      zeta: 1,
      alpha: 0,
      read: 1,
      asked: 1,
      none: null,
      n_ctx: 1024,
      _name_or_path: 'x',
      _any: 1,
      architectures: [],
      torch_dtype: 'float32',
      dtype: 'x',
      transformers_version: '4',
      use_cache: true,
      attention_dropout: 0.1,
      attn_pdrop: 0.1,
      summary_type: 'x',
      initializer_range: 1,
      eos_token_id: 2,
      pretraining_tp: 4,
      temperature: 0.5,
      max_length: 20,
      hidden_size_dropped: 1,
      id2label: {},
    });
    config.num('read');
    config.has('asked');
    config.unused('n_ctx');
    expect(config.ignored()).toEqual(['alpha', 'hidden_size_dropped', 'zeta']);
  });

  test('base fields that change the result are checked', () => {
    const plain = read({ is_encoder_decoder: false, pruned_heads: {}, add_cross_attention: false });
    checkBaseFields(plain);
    expect(plain.ignored()).toEqual([]);
    expect(() => checkBaseFields(read({ quantization_config: { quant_method: 'gptq' } }))).toThrow(
      /quantization_config/,
    );
    expect(() => checkBaseFields(read({ is_encoder_decoder: true }))).toThrow(UnsupportedError);
    expect(() =>
      checkBaseFields(read({ is_encoder_decoder: true }), { is_encoder_decoder: true }),
    ).not.toThrow();
  });

  test.skipIf(!hasGoldens)("leaves of GPT-2's golden only what its network reads", async () => {
    const path = join(goldenRoot, 'gpt2', 'config.json');
    const config = configReader(parseJsonObject(await readFile(path), path), path);
    expect(config.ignored()).toEqual([
      'activation_function',
      'layer_norm_epsilon',
      'n_embd',
      'n_head',
      'n_layer',
      'n_positions',
      'reorder_and_upcast_attn',
      'scale_attn_by_inverse_layer_idx',
      'scale_attn_weights',
      'vocab_size',
    ]);
  });
});
