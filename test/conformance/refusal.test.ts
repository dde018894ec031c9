import { truncateSync } from 'node:fs';
import { copyFile, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import { loadTextModel, ModelFormatError, OutOfMemoryError } from '../../lib/index.js';
import { loadWith } from '../../lib/testing.js';
import { llamaShapes } from '../models/tiny_checkpoint.js';
import { largeModel, smallModel } from './checkpoints.js';
import { limit } from './limit.js';

const MiB = 2 ** 20;

/** A directory whose weights are a hole of so many bytes or more: it takes no room on the disk. */
async function hollowModel(bytes: number): Promise<string> {
  const directory = join(inject('scratch'), 'hollow');
  const config = {
    model_type: 'llama',
    vocab_size: Math.ceil(bytes / 2 / 4096),
    hidden_size: 4096,
    intermediate_size: 64,
    num_hidden_layers: 1,
    num_attention_heads: 32,
    max_position_embeddings: 128,
    rms_norm_eps: 1e-6,
    hidden_act: 'silu',
    tie_word_embeddings: true,
  };
  let end = 0;
  const header = Object.entries(llamaShapes(config)).map(([name, shape]) => {
    const begin = end;
    end += 2 * shape.reduce((n, d) => n * d, 1);
    return [name, { dtype: 'BF16', shape, data_offsets: [begin, end] }];
  });
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  await mkdir(directory);
  await writeFile(join(directory, 'config.json'), JSON.stringify(config));
  const file = await open(join(directory, 'model.safetensors'), 'w');
  await file.writeFile(Buffer.concat([length, json]));
  await file.truncate(8 + json.length + end);
  await file.close();
  return directory;
}

describe('a model larger than memory is refused with OutOfMemoryError before its weights are read', () => {
  test('larger than the machine', async () => {
    const directory = await hollowModel(2 * totalmem());
    const before = process.memoryUsage.rss();
    const begin = performance.now();
    const progress: unknown[] = [];
    const loading = loadTextModel(directory, { device: 'cpu', onProgress: (told) => progress.push(told) });
    await expect(loading).rejects.toBeInstanceOf(OutOfMemoryError);
    await expect(loading).rejects.toThrow(/MiB of weights.*got \d+ MiB.*smaller model/);
    expect(progress).toEqual([]);
    expect(performance.now() - begin).toBeLessThan(limit(2000));
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 * MiB);
    await rm(directory, { recursive: true });
  });

  test('larger than a limit, which the message names; weights, workspace and KV cache count', async () => {
    const directory = await smallModel();
    const load = (bytes: number, kvBytes = 4 * MiB) =>
      loadWith(directory, { device: 'cpu' }, { memory: { bytes, of: 'the container' }, kvBytes });
    const { bytes } = await (async () => {
      await using model = await load(64 * MiB);
      return model.info;
    })();
    await expect(load(bytes - 4 * MiB)).rejects.toThrow(/which is what the container can spare/);
    await expect(load(bytes - 4 * MiB)).rejects.toBeInstanceOf(OutOfMemoryError);
    // Where the workspace has to come out of the KV cache's room, that is smaller.
    await using model = await load(bytes);
    expect(model.info.bytes).toBeLessThan(bytes);
  });
});

describe('a weight file that is cut short while it loads', () => {
  test('is a ModelFormatError that names the file, and the next load is none the worse', async () => {
    const whole = await largeModel();
    const directory = join(inject('scratch'), 'cut');
    await mkdir(directory);
    const file = join(directory, 'model.safetensors');
    for (const name of ['config.json', 'model.safetensors'])
      await copyFile(join(whole, name), join(directory, name));
    let cut = false;
    const loading = loadTextModel(directory, {
      device: 'cpu',
      onProgress: ({ loaded, total }) => {
        if (cut || loaded < total / 4) return;
        truncateSync(file, total / 2);
        cut = true;
      },
    });
    await expect(loading).rejects.toBeInstanceOf(ModelFormatError);
    await expect(loading).rejects.toThrow(/model\.safetensors.*cut short/);
    expect(cut).toBe(true);
    await rm(directory, { recursive: true });
    await using model = await loadTextModel(await smallModel(), { device: 'cpu' });
    expect((await model.generate([1], { maxNewTokens: 2, eosTokenId: [] })).tokens).toHaveLength(2);
  });
});
