import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodePng, loadSharp } from '../../lib/image/write_png.js';
import { type TensorSource, writeSafetensors } from '../../lib/weights/write_safetensors.js';
import { type GoldenTensor, hasGolden, modelRoot, readGolden } from '../golden.js';
import { triga } from './run_cli.js';

const model = path.join(modelRoot, 'taef2');

describe.skipIf(!hasGolden('taef2', modelRoot))('triga decode-image (../shared/models/taef2)', () => {
  const golden = (key: string): GoldenTensor =>
    readGolden('taef2', modelRoot).tensors[`photo64x48/${key}`] as GoldenTensor;
  let folder: string;
  const file = (name: string): string => path.join(folder, name);
  const latents = (name: string, shape: readonly number[]): TensorSource => ({
    name,
    dtype: 'f32',
    shape,
    data: Float32Array.from(golden('latents').data),
  });

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'triga-cli-image-'));
    await writeSafetensors(file('one.safetensors'), [latents('z', [32, 8, 6])]);
    const shape = [1, 32, 8, 6];
    await writeSafetensors(file('named.safetensors'), [latents('latents', shape), latents('other', shape)]);
    await writeSafetensors(file('two.safetensors'), [latents('a', shape), latents('b', shape)]);
    await writeSafetensors(file('batch.safetensors'), [latents('latents', [2, 16, 8, 6])]);
    await writeSafetensors(file('channels.safetensors'), [latents('latents', [1, 16, 8, 12])]);
  });
  afterAll(() => rm(folder, { recursive: true }));

  test.each(['one', 'named'])('writes the golden picture of %s.safetensors', async (name) => {
    const out = file(`${name}.png`);
    const args = ['decode-image', model, '--latents', file(`${name}.safetensors`), '-o', out];
    const { code, stdout, stderr } = await triga(args);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${out}: 48 × 64\n`, stderr: '' });
    const { data, info } = await sharp(await readFile(out))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect(info).toMatchObject({ width: 48, height: 64, channels: 3 });
    const want = golden('decoded_u8').data;
    const furthest = Array.from(data, (v, i) =>
      Math.abs(v - (want[(i % 3) * 48 * 64 + Math.floor(i / 3)] as number)),
    );
    expect(Math.max(...furthest)).toBeLessThanOrEqual(1);
    expect(furthest.filter((d) => d > 0).length).toBeLessThan(10);
  });

  test.each([
    ['two', 'x.png', /expected a tensor "latents", or one alone, got 2: a, b/],
    ['batch', 'x.png', /floating point latents of one picture.*got f32 \[2, 16, 8, 6\]/],
    [
      'channels',
      'x.png',
      /decode: expected latents as a tensor f32 \[N, 32, H, W\], got f32 \[1, 16, 8, 12\]/,
    ],
    ['missing', 'x.png', /missing\.safetensors/],
    ['one', 'x.jpg', /output: expected a file name that ends in \.png/],
    ['one', 'nowhere/x.png', /nowhere/],
  ])('%s to %s ends with 1 and a line', async (name, out, message) => {
    const args = ['decode-image', model, '--latents', file(`${name}.safetensors`), '-o', file(out)];
    const { code, stdout, stderr } = await triga(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});

test('decode-image without its files is wrong usage', async () => {
  const { code, stderr } = await triga(['decode-image', 'm']);
  expect(code).toBe(2);
  expect(stderr).toContain("required option '--latents <file>' not specified");
});

describe('PNG', () => {
  test('without sharp an error names the remedy', async () => {
    const missing = Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
    const wanted = (message: RegExp) =>
      expect.objectContaining({ code: 'UNSUPPORTED', message: expect.stringMatching(message) });
    await expect(loadSharp(() => Promise.reject(missing))).rejects.toThrow(
      wanted(/is not installed; "npm install sharp" mends that/),
    );
    await expect(loadSharp(() => Promise.reject(new Error('no libvips')))).rejects.toThrow(
      wanted(/does not load: Error: no libvips; "npm install sharp"/),
    );
  });

  test('holds the pixels, clamped', async () => {
    const data = Float32Array.of(-1, 1, 0, 7, -7, 0.5);
    const png = await encodePng(await loadSharp(), { dtype: 'f32', shape: [1, 3, 1, 2], data });
    expect([...(await sharp(png).raw().toBuffer())]).toEqual([0, 128, 0, 255, 255, 191]);
    const pictures = encodePng(await loadSharp(), { dtype: 'f32', shape: [2, 3, 1, 1], data });
    await expect(pictures).rejects.toThrow(/one picture of 1, 3 or 4 channels, got \[2, 3, 1, 1\]/);
  });
});
