import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TrigaError } from '../../lib/errors.js';
import { openCheckpoint } from '../../lib/weights/checkpoint.js';
import { isJsonObject } from '../../lib/weights/json_file.js';
import { readTensor } from '../../lib/weights/read_tensor.js';
import { openSafetensors, type TensorInfo } from '../../lib/weights/safetensors.js';
import { directoryOf, f32File, failureOf, goldenRoot, hasGoldens } from './fixtures.js';

const model = f32File({ a: [2, 3], b: [4] });
const index = (weight_map: unknown) => ({ metadata: { total_size: 40 }, weight_map });
const shard1 = 'model-00001-of-00002.safetensors';
const shard2 = 'model-00002-of-00002.safetensors';

describe('openCheckpoint', () => {
  test('opens a single file', async () => {
    const directory = await directoryOf({
      'config.json': { model_type: 'llama' },
      'generation_config.json': { eos_token_id: 2 },
      'model.safetensors': model,
    });
    const checkpoint = await openCheckpoint(directory);
    expect(checkpoint).toMatchObject({ directory, config: { model_type: 'llama' }, bytes: 40 });
    expect(checkpoint.generationConfig).toEqual({ eos_token_id: 2 });
    expect([...checkpoint.tensors.keys()]).toEqual(['a', 'b']);
  });

  test('opens shards, taking each tensor from the file that the index names', async () => {
    const directory = await directoryOf({
      'config.json': {},
      'model.safetensors.index.json': index({ b: shard2, a: shard1 }),
      [shard1]: f32File({ a: [1], b: [9] }),
      [shard2]: f32File({ b: [3] }),
    });
    const { tensors, bytes, generationConfig } = await openCheckpoint(directory);
    expect(tensors.get('b')).toMatchObject({ shape: [3], file: join(directory, shard2) });
    expect(bytes).toBe(16);
    expect(generationConfig).toBeUndefined();
  });

  test('opens weights by the names that diffusers gives them', async () => {
    const name = 'diffusion_pytorch_model.safetensors';
    const whole = await directoryOf({ 'config.json': {}, [name]: model });
    expect((await openCheckpoint(whole)).tensors.get('a')?.file).toBe(join(whole, name));
    const cut = await directoryOf({
      'config.json': {},
      [`${name}.index.json`]: index({ a: shard1 }),
      [shard1]: f32File({ a: [1] }),
    });
    expect([...(await openCheckpoint(cut)).tensors.keys()]).toEqual(['a']);
  });

  test('an aborted call is an AbortError', async () => {
    const directory = await directoryOf({ 'config.json': {}, 'model.safetensors': model });
    await expect(openCheckpoint(directory, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});

/** What is wrong, the directory, and code and message of the error. */
const broken: [string, Record<string, unknown>, string, RegExp][] = [
  ['no config.json', { 'model.safetensors': model }, 'MODEL_FORMAT', /expected config.json/],
  [
    'no weights',
    { 'config.json': {} },
    'MODEL_FORMAT',
    /model.safetensors or model.safetensors.index.json, got no weights/,
  ],
  [
    'weights of another name',
    { 'config.json': {}, 'consolidated.safetensors': model },
    'MODEL_FORMAT',
    /got consolidated.safetensors/,
  ],
  [
    'pickled weights',
    { 'config.json': {}, 'pytorch_model.bin': 'x' },
    'UNSUPPORTED',
    /pytorch_model.bin.*convert them to safetensors/,
  ],
  ['GGUF weights', { 'a.gguf': 'x' }, 'UNSUPPORTED', /a.gguf.*GGUF/],
  [
    'config.json no JSON',
    { 'config.json': '{', 'model.safetensors': model },
    'MODEL_FORMAT',
    /config.json: expected JSON/,
  ],
  [
    'config.json a list',
    { 'config.json': '[]', 'model.safetensors': model },
    'MODEL_FORMAT',
    /config.json: expected a JSON object, got \[\]/,
  ],
  ['config.json empty', { 'config.json': '', 'model.safetensors': model }, 'MODEL_FORMAT', /config.json/],
  [
    'config.json with NaN',
    { 'config.json': '{"eps":NaN}', 'model.safetensors': model },
    'MODEL_FORMAT',
    /config.json/,
  ],
  [
    'config.json with a key twice',
    { 'config.json': '{"a":1,"a":2}', 'model.safetensors': model },
    'MODEL_FORMAT',
    /"a" twice/,
  ],
  [
    'config.json too large',
    { 'config.json': `{"a":"${'x'.repeat(2 ** 24)}"}` },
    'MODEL_FORMAT',
    /at most 16777216 bytes/,
  ],
  [
    'generation_config.json no JSON',
    { 'config.json': {}, 'generation_config.json': '', 'model.safetensors': model },
    'MODEL_FORMAT',
    /generation_config.json/,
  ],
  ['no weight_map', { 'config.json': {}, 'model.safetensors.index.json': {} }, 'MODEL_FORMAT', /weight_map/],
  [
    'weight_map a list',
    { 'config.json': {}, 'model.safetensors.index.json': index([]) },
    'MODEL_FORMAT',
    /weight_map/,
  ],
  [
    'weight_map empty',
    { 'config.json': {}, 'model.safetensors.index.json': index({}) },
    'MODEL_FORMAT',
    /weight_map/,
  ],
  [
    'shard no string',
    { 'config.json': {}, 'model.safetensors.index.json': index({ a: 1 }) },
    'MODEL_FORMAT',
    /"a".*got 1/,
  ],
  [
    'shard missing',
    { 'config.json': {}, 'model.safetensors.index.json': index({ a: shard1 }) },
    'MODEL_FORMAT',
    /expected the shard model-00001/,
  ],
  [
    'tensor not in its shard',
    { 'config.json': {}, 'model.safetensors.index.json': index({ z: shard1 }), [shard1]: model },
    'MODEL_FORMAT',
    /model-00001.*expected tensor "z"/,
  ],
  [
    'index with a tensor twice',
    {
      'config.json': {},
      'model.safetensors.index.json': `{"weight_map":{"a":"${shard1}","a":"${shard2}"}}`,
      [shard1]: model,
    },
    'MODEL_FORMAT',
    /"a" twice/,
  ],
];

describe('a broken directory is an error that says what was looked for:', () => {
  test.each(broken)('%s', async (_, files, code, message) => {
    await expect(openCheckpoint(await directoryOf(files))).rejects.toMatchObject({ code, message });
  });

  test.each([
    '../a.safetensors',
    '/etc/a.safetensors',
    'b/a.safetensors',
    'b\\a.safetensors',
    'C:a.safetensors',
    '..',
    '',
    'a\0.safetensors',
    'config.json',
  ])('an index that names %j', async (file) => {
    const directory = await directoryOf({
      'config.json': {},
      'model.safetensors.index.json': index({ a: file }),
    });
    await expect(openCheckpoint(directory)).rejects.toMatchObject({
      code: 'MODEL_FORMAT',
      message: /beside the index/,
    });
  });

  test('a shard that is a directory', async () => {
    const directory = await directoryOf({
      'config.json': {},
      'model.safetensors.index.json': index({ a: shard1 }),
    });
    await mkdir(join(directory, shard1));
    await expect(openCheckpoint(directory)).rejects.toMatchObject({
      code: 'MODEL_FORMAT',
      message: /regular file/,
    });
  });
});

describe('a source that is no directory', () => {
  test.each([
    ['org/name', /expected a model directory, got nothing at that path.*written 'hf:org\/name'/],
    ['./missing/here', /nothing at that path$/],
    ['hf:org/name', /expected the path of a directory/],
    ['', /expected the path of a directory/],
    ['a\0b', /expected a model directory/],
  ])('%j', async (source, message) => {
    await expect(openCheckpoint(source)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message });
  });

  test('a file', async () => {
    const directory = await directoryOf({ 'model.safetensors': model, 'model.gguf': 'x', 'a.txt': 'x' });
    const open = (name: string) => openCheckpoint(join(directory, name));
    await expect(open('model.safetensors')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: /pass the directory/,
    });
    await expect(open('model.gguf')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    await expect(open('a.txt')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(open('a.txt/b')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

test('mutated JSON files give a TrigaError or a checkpoint', async () => {
  const whole = JSON.stringify(index({ a: shard1, b: shard1 }));
  const edit = fc.record({
    at: fc.nat(whole.length),
    remove: fc.nat(3),
    insert: fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom('"', '{', '}', 'null', '../', '1e999')),
  });
  const check = async ({ at, remove, insert }: { at: number; remove: number; insert: string }) => {
    const text = whole.slice(0, at) + insert + whole.slice(at + remove);
    const directory = await directoryOf({
      'config.json': {},
      'model.safetensors.index.json': text,
      [shard1]: model,
    });
    const error = await failureOf(() => openCheckpoint(directory));
    if (error !== undefined) expect(error).toBeInstanceOf(TrigaError);
  };
  await fc.assert(fc.asyncProperty(edit, check), { numRuns: 200 });
});

const cases = 'gpt2 llama_bf16 llama_gqa llama_rope_llama3 llama_sharded mistral_sliding qwen2 qwen3'.split(
  ' ',
);

describe.skipIf(!hasGoldens)('goldens', () => {
  test.each(cases)('%s opens and its numbers are finite', async (name) => {
    const { config, tensors, bytes } = await openCheckpoint(join(goldenRoot, name));
    expect(typeof config.model_type).toBe('string');
    expect(bytes).toBeGreaterThan(0);
    for (const info of tensors.values()) {
      const data = await readTensor(info);
      expect(data.length).toBe(info.shape.reduce((n, d) => n * d, 1));
      expect(data.every(Number.isFinite)).toBe(true);
    }
  });

  test('llama_sharded has every tensor of its shards', async () => {
    const directory = join(goldenRoot, 'llama_sharded');
    const { tensors } = await openCheckpoint(directory);
    const all = new Map<string, TensorInfo>();
    const text: unknown = JSON.parse(await readFile(join(directory, 'model.safetensors.index.json'), 'utf8'));
    const map = isJsonObject(text) && isJsonObject(text.weight_map) ? text.weight_map : {};
    for (const shard of new Set(Object.values(map))) {
      for (const [name, info] of (await openSafetensors(join(directory, String(shard)))).tensors)
        all.set(name, info);
    }
    expect(tensors.size).toBe(21);
    expect(new Map([...tensors].sort())).toEqual(new Map([...all].sort()));
  });
});
