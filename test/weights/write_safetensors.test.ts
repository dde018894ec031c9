import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ElementType } from '../../lib/dtype.js';
import { readTensorTyped } from '../../lib/weights/read_tensor.js';
import { openSafetensors } from '../../lib/weights/safetensors.js';
import { type TensorSource, writeSafetensors } from '../../lib/weights/write_safetensors.js';
import { goldenRoot, hasGoldens, temporaryDirectory } from './fixtures.js';

const every: TensorSource[] = [
  { name: 'bool', dtype: 'bool', shape: [3], data: Uint8Array.of(0, 1, 1) },
  { name: 'u8', dtype: 'u8', shape: [1, 1], data: Uint8Array.of(255) },
  { name: 'i8', dtype: 'i8', shape: [1], data: Int8Array.of(-1) },
  { name: 'f16', dtype: 'f16', shape: [1], data: Uint16Array.of(0x3c00) },
  { name: 'bf16', dtype: 'bf16', shape: [3], data: Uint16Array.of(1, 2, 3) },
  { name: 'i32', dtype: 'i32', shape: [1], data: Int32Array.of(-5) },
  { name: 'f32', dtype: 'f32', shape: [2, 0], data: new Float32Array(0) },
  { name: 'i64', dtype: 'i64', shape: [], data: BigInt64Array.of(-(2n ** 62n)) },
  {
    name: 'späte \u{1f600} "x"\\',
    dtype: 'f64',
    shape: [1],
    data: () => Promise.resolve(Float64Array.of(0.1)),
  },
];

describe('writeSafetensors', () => {
  test('writes what openSafetensors and readTensorTyped read, every tensor aligned', async () => {
    const path = join(await temporaryDirectory(), 'a.safetensors');
    await writeSafetensors(path, every, { metadata: { format: 'pt' } });
    const { tensors, metadata } = await openSafetensors(path);
    expect([...metadata]).toEqual([['format', 'pt']]);
    expect(tensors.size).toBe(every.length);
    for (const source of every) {
      const info = tensors.get(source.name);
      if (info === undefined) throw new Error(`no tensor ${source.name}`);
      expect([info.dtype, info.shape]).toEqual([source.dtype, source.shape]);
      const data = typeof source.data === 'function' ? await source.data() : source.data;
      expect(await readTensorTyped(info)).toEqual(data);
      expect(info.offset % Math.max(1, info.bytes / (info.shape.reduce((n, d) => n * d, 1) || 1))).toBe(0);
    }
  });

  test.skipIf(!hasGoldens)("keeps the original writer's bytes", async () => {
    const original = join(goldenRoot, 'llama_bf16', 'model.safetensors');
    const { tensors, metadata } = await openSafetensors(original);
    const sources: TensorSource[] = [];
    for (const info of tensors.values()) sources.push({ ...info, data: await readTensorTyped(info) });
    const path = join(await temporaryDirectory(), 'a.safetensors');
    await writeSafetensors(path, sources.reverse(), { metadata: Object.fromEntries(metadata) });
    expect((await readFile(path)).equals(await readFile(original))).toBe(true);
  });

  test('any names and shapes survive', async () => {
    const path = join(await temporaryDirectory(), 'a.safetensors');
    const tensor = fc.record({
      name: fc.string({ unit: 'grapheme' }).filter((name) => name !== '__metadata__'),
      dtype: fc.constantFrom<ElementType>('u8', 'i8', 'bool'),
      shape: fc.array(fc.nat(4), { maxLength: 4 }),
    });
    const list = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 8 });
    const check = async (specs: Omit<TensorSource, 'data'>[]) => {
      const sources = specs.map((t) => ({ ...t, data: new Uint8Array(t.shape.reduce((n, d) => n * d, 1)) }));
      await writeSafetensors(path, sources);
      const { tensors } = await openSafetensors(path);
      expect(specs.map(({ name }) => tensors.get(name)?.shape)).toEqual(specs.map(({ shape }) => shape));
    };
    await fc.assert(fc.asyncProperty(list, check), { numRuns: 100 });
  });

  test.each<[string, TensorSource[]]>([
    ['a name twice', [every[0] as TensorSource, every[0] as TensorSource]],
    ['the metadata key as a name', [{ ...(every[0] as TensorSource), name: '__metadata__' }]],
    ['too few bytes', [{ name: 'a', dtype: 'f32', shape: [2], data: new Float32Array(1) }]],
    [
      'too few bytes, later',
      [{ name: 'a', dtype: 'f32', shape: [2], data: async () => new Float32Array(1) }],
    ],
    ['a negative dimension', [{ name: 'a', dtype: 'f32', shape: [-1], data: new Float32Array(1) }]],
    ['a fractional dimension', [{ name: 'a', dtype: 'f32', shape: [0.5], data: new Float32Array(1) }]],
    [
      'a product that overflows',
      [{ name: 'a', dtype: 'f32', shape: [2 ** 40, 2 ** 40], data: new Float32Array(1) }],
    ],
  ])('%s is an InvalidArgumentError that leaves the old file alone', async (_, tensors) => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'a.safetensors'), 'old');
    await expect(writeSafetensors(join(directory, 'a.safetensors'), tensors)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(await readdir(directory)).toEqual(['a.safetensors']);
    expect(await readFile(join(directory, 'a.safetensors'), 'utf8')).toBe('old');
  });

  test('an abort while writing leaves nothing behind', async () => {
    const directory = await temporaryDirectory();
    const controller = new AbortController();
    const data = () => {
      controller.abort();
      return Promise.resolve(Uint8Array.of(1));
    };
    const source: TensorSource = { name: 'a', dtype: 'u8', shape: [1], data };
    const path = join(directory, 'a.safetensors');
    await expect(writeSafetensors(path, [source], { signal: controller.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(await readdir(directory)).toEqual([]);
  });

  test('a path that cannot be is an InvalidArgumentError', async () => {
    const directory = await temporaryDirectory();
    for (const path of [join(directory, 'no', 'a.safetensors'), directory, `${directory}/a\0b`]) {
      await expect(writeSafetensors(path, [])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    expect(await readdir(directory)).toEqual([]);
  });
});
