import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ElementType } from '../../lib/dtype.js';
import { openCheckpoint } from '../../lib/weights/checkpoint.js';
import { aliasedParams, checkParams, paramOf, readParam } from '../../lib/weights/param_source.js';
import { readTensor } from '../../lib/weights/read_tensor.js';
import type { TensorInfo } from '../../lib/weights/safetensors.js';
import { goldenRoot, hasGoldens } from './fixtures.js';

function tensors(shapes: Record<string, number[]>, dtype: ElementType = 'f32'): Map<string, TensorInfo> {
  const info = (name: string, shape: number[]) => ({
    name,
    dtype,
    shape,
    file: 'm.safetensors',
    offset: 0,
    bytes: 0,
  });
  return new Map(Object.entries(shapes).map(([name, shape]) => [name, info(name, shape)]));
}

const gpt2 = {
  optionalPrefix: 'transformer.',
  ignored: [/\.attn\.bias$/, /\.attn\.masked_bias$/],
  transposed: /\.c_fc\.weight$/,
};

const expected = (shapes: Record<string, number[]>) =>
  new Map(Object.entries(shapes).map(([name, shape]) => [name, { shape }]));

describe('aliasedParams', () => {
  test.each(['', 'transformer.'])('finds tensors that begin with %j, by either name', (prefix) => {
    const source = aliasedParams(
      tensors({ [`${prefix}wte.weight`]: [4, 2], [`${prefix}h.0.attn.bias`]: [1], 'lm_head.weight': [4, 2] }),
      gpt2,
    );
    expect([...source.names()]).toEqual(['wte.weight', 'lm_head.weight']);
    expect(source.get('wte.weight')?.name).toBe(`${prefix}wte.weight`);
    expect(source.get('transformer.wte.weight')?.name).toBe(`${prefix}wte.weight`);
    expect(source.get('h.0.attn.bias')).toBeUndefined();
  });

  test('a tensor with and without the prefix is a ModelFormatError', () => {
    const both = tensors({ 'wte.weight': [1], 'transformer.wte.weight': [1] });
    expect(() => aliasedParams(both, gpt2)).toThrow(
      /m.safetensors: expected one of "wte.weight" and "transformer.wte.weight"/,
    );
  });

  test.each([
    [['shared', 'encoder.words', 'other'], 'shared'],
    [['encoder.words', 'decoder.words'], 'encoder.words'],
    [['decoder.words'], 'decoder.words'],
    [['other'], undefined],
  ])('of the copies %j it takes %s, and forgets the others', (names, taken) => {
    const source = aliasedParams(tensors(Object.fromEntries(names.map((name) => [name, [4, 2]]))), {
      copies: { shared: ['encoder.words', 'decoder.words'] },
    });
    expect(source.get('shared')?.name).toBe(taken);
    const left = names.filter((name) => name === 'other');
    expect([...source.names()].sort()).toEqual([...left, ...(taken ? ['shared'] : [])]);
  });

  test('a transposed tensor must be a matrix', () => {
    expect(() => aliasedParams(tensors({ 'h.0.mlp.c_fc.weight': [4] }), gpt2)).toThrow(
      /expected a matrix, got shape \[4\]/,
    );
  });
});

describe('checkParams', () => {
  const source = aliasedParams(
    tensors({ 'wte.weight': [4, 2], 'h.0.mlp.c_fc.weight': [2, 8], 'lm_head.weight': [4, 2], x: [1] }),
    gpt2,
  );
  const all = { 'wte.weight': [4, 2], 'transformer.h.0.mlp.c_fc.weight': [8, 2] };

  test('returns what the model does not use', () => {
    expect(checkParams(expected(all), source)).toEqual(['lm_head.weight', 'x']);
    expect(checkParams(expected(all), source, ['lm_head.weight'])).toEqual(['x']);
    expect(checkParams(expected(all), source, ['lm_head.weight', 'absent'])).toEqual(['x']);
  });

  test('names missing tensors, the first of them, and how many', () => {
    const many = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`h.${i}.ln`, [2]]));
    expect(() => checkParams(expected(many), source)).toThrow(
      'checkpoint: expected 7 tensors by its config.json, got none for 7: h.0.ln, h.1.ln, h.2.ln, h.3.ln, h.4.ln, … (7 in all)',
    );
  });

  test('says which shape was expected and which came, in the order of the parameter', () => {
    expect(() => checkParams(expected({ 'wte.weight': [5, 2] }), source)).toThrow(
      /wte.weight: expected shape \[5, 2\], got \[4, 2\]/,
    );
    expect(() => checkParams(expected({ 'wte.weight': [4, 2, 1] }), source)).toThrow(/got \[4, 2\]/);
    expect(() => checkParams(expected({ 'h.0.mlp.c_fc.weight': [2, 8] }), source)).toThrow(
      /expected shape \[2, 8\], got \[8, 2\] \(stored transposed\)/,
    );
  });

  test('weights that are no real numbers are UnsupportedError', () => {
    const packed = aliasedParams(tensors({ w: [1] }, 'i32'));
    expect(() => checkParams(expected({ w: [1] }), packed)).toThrow(
      /"w": expected floating point weights, got i32/,
    );
  });
});

test('paramOf names a parameter that is missing', () => {
  expect(() => paramOf(aliasedParams(new Map()), 'w')).toThrow(/expected tensor "w", got none/);
});

test.skipIf(!hasGoldens)("readParam gives GPT-2's c_fc as [out, in]", async () => {
  const checkpoint = await openCheckpoint(join(goldenRoot, 'gpt2'));
  const source = aliasedParams(checkpoint.tensors, gpt2);
  const info = paramOf(source, 'h.1.mlp.c_fc.weight');
  const [stored, param] = [await readTensor(info), await readParam(info)]; // [60, 240], [240, 60]
  expect(checkParams(expected({ 'h.1.mlp.c_fc.weight': [240, 60] }), source)).toHaveLength(39);
  for (const [out, at] of [
    [0, 0],
    [7, 59],
    [239, 31],
  ] as const)
    expect(param[out * 60 + at]).toBe(stored[at * 240 + out]);
});
