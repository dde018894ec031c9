import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type ImageAutoencoder, loadImageAutoencoder, loadTextModel, type Tensor } from '../../lib/index.js';
import { writeSafetensors } from '../../lib/weights/write_safetensors.js';
import { type Golden, type GoldenTensor, hasGolden, modelRoot, readGolden } from '../golden.js';
import { places } from '../replay.js';
import { withIsa } from '../with_isa.js';

const name = 'taef2';
const directory = path.join(modelRoot, name);

interface Json {
  readonly tensors: Readonly<Record<string, { readonly suggest_atol?: number }>>;
}

const golden = hasGolden(name, modelRoot) ? readGolden<Json>(name, modelRoot) : undefined;
const tensor = (key: string, of: (x: number) => number = (x) => x): Tensor => {
  const { shape, data } = (golden as Golden<Json>).tensors[key] as GoldenTensor;
  return { dtype: 'f32', shape: [...shape], data: Float32Array.from(data, of) };
};
/** Pictures of the goldens are in [0, 1], ours in [−1, 1]. */
const image = (key: string): Tensor => tensor(`${key}/image_u8`, (x) => (2 * x) / 255 - 1);
const atol = (key: string): number => golden?.json.tensors[key]?.suggest_atol as number;
const furthest = (got: Tensor, want: Tensor, of: (x: number) => number = (x) => x): number => {
  expect(got.shape).toEqual(want.shape);
  const apart = Array.from(want.data, (w, i) => Math.abs(of(got.data[i] as number) - w));
  return apart.reduce((most, d) => Math.max(most, d), 0);
};
const toUnit = (x: number): number => (x + 1) / 2;

/** Runs on one place and disposes the model. */
const on = async (
  { device, isa }: (typeof places)[number],
  work: (model: ImageAutoencoder) => Promise<void> | void,
): Promise<void> => {
  const run = async (): Promise<void> => {
    const model = await loadImageAutoencoder(directory, { device });
    try {
      await work(model);
    } finally {
      await model.dispose();
    }
  };
  await (isa ? withIsa(isa, run) : run());
};

describe.skipIf(!golden)('an image autoencoder (../shared/models/taef2)', () => {
  // The reference takes its time.
  const casesOf = (device: string): string[] =>
    device === 'reference' ? ['photo64x48'] : ['photo64x48', 'photo128'];

  test.each(places)(
    'encodes and decodes to its goldens on $name',
    async (place) => {
      await on(place, async (model) => {
        for (const key of casesOf(place.device)) {
          const latents = await model.encode(image(key));
          expect(furthest(latents, tensor(`${key}/latents`)), key).toBeLessThan(atol(`${key}/latents`));
          const decoded = await model.decode(latents);
          expect(furthest(decoded, tensor(`${key}/decoded`), toUnit), key).toBeLessThan(
            atol(`${key}/decoded`),
          );
        }
        if (place.device === 'reference') return;
        const noise = await model.decode(tensor('noise/latents'));
        expect(furthest(noise, tensor('noise/decoded'), toUnit)).toBeLessThan(atol('noise/decoded'));
      });
    },
    300_000,
  );

  const cpu = places.find(({ device }) => device === 'cpu') as (typeof places)[number];

  test('says what it is', async () => {
    await on(cpu, ({ info }) => {
      expect(info).toMatchObject({
        family: 'autoencoder_tiny',
        device: 'cpu',
        weights: 'f32',
        latentChannels: 32,
        scale: 8,
        ignoredFields: [],
      });
      expect(info.parameters).toBeGreaterThan(2.6e6);
      expect(info.parameters).toBeLessThan(2.7e6);
      expect(info.bytes).toBeGreaterThan(info.parameters * 4);
    });
  });

  test('a picture has the bits that it has alone, in a batch, in company and with any number of threads', async () => {
    const latents = tensor('noise/latents');
    const twice = {
      ...latents,
      shape: [2, 32, 6, 10],
      data: Float32Array.of(...latents.data, ...latents.data),
    };
    const results: Tensor[] = [];
    for (const threads of [1, 3]) {
      const model = await loadImageAutoencoder(directory, { device: 'cpu', threads });
      const both = await Promise.all([
        model.decode(twice),
        model.decode(latents),
        model.encode(image('photo64x48')),
      ]);
      results.push(...both.slice(0, 2));
      await model.dispose();
    }
    const [first] = results as [Tensor];
    expect(first.shape).toEqual([2, 3, 48, 80]);
    const one = first.data.slice(0, 3 * 48 * 80);
    expect(results.map((r) => r.data)).toEqual([
      Float32Array.of(...one, ...one),
      one,
      Float32Array.of(...one, ...one),
      one,
    ]);
  });

  test('many calls may share a signal', async () => {
    const warnings: Error[] = [];
    const listen = (warning: Error): void => {
      warnings.push(warning);
    };
    process.on('warning', listen);
    await on(cpu, async (model) => {
      const { signal } = new AbortController();
      const small = { dtype: 'f32', shape: [1, 32, 1, 1], data: new Float32Array(32) } as const;
      const calls = Array.from({ length: 30 }, () =>
        model.decode({ ...small, shape: [...small.shape] }, { signal }),
      );
      const [first, ...others] = await Promise.all(calls);
      for (const other of others) expect(other).toEqual(first);
    });
    process.off('warning', listen);
    expect(warnings).toEqual([]);
  });

  test('what is wrong with a tensor is told, and what to do', async () => {
    await on(cpu, async (model) => {
      const zeros = (shape: number[], n = shape.reduce((a, b) => a * b, 1)): Tensor => ({
        dtype: 'f32',
        shape,
        data: new Float32Array(n),
      });
      const refused: readonly (readonly [Promise<Tensor>, RegExp])[] = [
        [
          model.encode(zeros([1, 3, 60, 48])),
          /multiples of 8, got 60 × 48; crop, pad or scale them, to 64 × 48/,
        ],
        [
          model.encode(zeros([1, 4, 64, 48])),
          /encode: expected images .*\[N, 3, H, W\], got f32 \[1, 4, 64, 48\]/,
        ],
        [model.encode(zeros([3, 64, 48])), /got f32 \[3, 64, 48\]/],
        [model.encode(zeros([1, 3, 64, 48], 7)), /with 7 numbers/],
        [model.encode(zeros([0, 3, 64, 48])), /got f32 \[0, 3/],
        [model.encode({ ...zeros([1, 3, 8, 8]), data: new Float64Array(192) }), /as a Float32Array/],
        [model.encode(null as never), /got null/],
        [model.decode(zeros([1, 3, 8, 8])), /decode: expected latents .*\[N, 32, H, W\]/],
        [
          model.decode(zeros([1, 32, 8, 8]), { sinal: 1 } as never),
          /unknown option "sinal"; did you mean "signal"/,
        ],
      ];
      for (const [call, message] of refused)
        await expect(call).rejects.toThrow(
          expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) }),
        );
      const huge = { ...zeros([1, 32, 1, 1]), shape: [1, 32, 2 ** 20, 2 ** 20] };
      await expect(model.decode(huge)).rejects.toThrow(/numbers/);
    });
  });

  test('an abort ends a call within a step, and no other; disposal ends all', async () => {
    const model = await loadImageAutoencoder(directory, { device: 'cpu' });
    const latents = tensor('photo128/latents');
    const abort = new AbortController();
    const calls = [
      model.decode(latents),
      model.decode(latents, { signal: abort.signal }),
      model.decode(latents),
    ];
    abort.abort();
    await expect(calls[1]).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
    const [before, , after] = await Promise.all([calls[0], calls[1]?.catch(() => undefined), calls[2]]);
    expect(after?.data).toEqual(before?.data);
    await expect(model.decode(latents, { signal: AbortSignal.abort() })).rejects.toThrow(
      expect.objectContaining({ name: 'AbortError' }),
    );
    const pending = model.decode(latents);
    const gone = expect.objectContaining({ code: 'INVALID_ARGUMENT', message: 'the model was disposed' });
    const told = expect(pending).rejects.toThrow(gone);
    await Promise.all([model.dispose(), model.dispose(), told]);
    await expect(model.encode(image('photo64x48'))).rejects.toThrow(gone);
  });

  test('options that pictures have not are refused', async () => {
    const load = (options: object) => loadImageAutoencoder(directory, options);
    await expect(load({ weights: 'q8' })).rejects.toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED',
        message: expect.stringContaining('use "stored" or "f32"'),
      }),
    );
    await expect(load({ kvCache: 'f32' })).rejects.toThrow(/unknown option "kvCache"/);
    await expect(load({ signal: AbortSignal.abort() })).rejects.toThrow(
      expect.objectContaining({ name: 'AbortError' }),
    );
    const seen: number[] = [];
    const model = await loadImageAutoencoder(directory, {
      device: 'cpu',
      onProgress: ({ loaded, total }) => seen.push(loaded / total),
    });
    await model.dispose();
    expect(seen.at(-1)).toBe(1);
    expect([...seen].sort((a, b) => a - b)).toEqual(seen);
  });
});

describe('directories that are no image autoencoder', () => {
  const write = async (config: object): Promise<string> => {
    const folder = await mkdtemp(path.join(tmpdir(), 'triga-image-'));
    folders.push(folder);
    await writeFile(path.join(folder, 'config.json'), JSON.stringify(config));
    const other = { name: 'other', dtype: 'f32', shape: [1], data: new Float32Array(1) } as const;
    await writeSafetensors(path.join(folder, 'diffusion_pytorch_model.safetensors'), [other]);
    return folder;
  };
  const folders: string[] = [];
  afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));
  const tiny = { _class_name: 'AutoencoderTiny' };

  test.each([
    [{ model_type: 'llama' }, 'UNSUPPORTED', /got model_type "llama"; loadTextModel\(\)/],
    [
      { _class_name: 'AutoencoderKL' },
      'UNSUPPORTED',
      /"AutoencoderKL" is not supported; known: AutoencoderTiny/,
    ],
    [{ ...tiny, upsample_fn: 'bilinear' }, 'UNSUPPORTED', /upsample_fn/],
    [{ ...tiny, act_fn: 'mish' }, 'UNSUPPORTED', /act_fn/],
    [{ ...tiny, num_encoder_blocks: [1, 3] }, 'MODEL_FORMAT', /lists of one length .* got 4 and 2/],
    [{ ...tiny, num_decoder_blocks: [1, 3, 3, 1e9] }, 'MODEL_FORMAT', /integers from 0 to 64/],
    [{ ...tiny, midblock_gn_groups: 3 }, 'MODEL_FORMAT', /a multiple of midblock_gn_groups/],
    [tiny, 'MODEL_FORMAT', /encoder\.layers\.0\.weight/],
  ])('%j', async (config, code, message) => {
    await expect(loadImageAutoencoder(await write(config), { device: 'cpu' })).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  test('one given to loadTextModel() is told where it belongs', async () => {
    await expect(loadTextModel(await write(tiny), { device: 'cpu' })).rejects.toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED',
        message: expect.stringContaining('loadImageAutoencoder()'),
      }),
    );
  });

  test('no source', async () => {
    await expect(loadImageAutoencoder(undefined as never)).rejects.toThrow(/expected a model directory/);
  });
});
