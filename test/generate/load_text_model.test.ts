import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { InvalidArgumentError, loadTextModel, UnsupportedError } from '../../lib/index.js';
import { randomModel, writeCheckpoint } from '../models/tiny_checkpoint.js';

const llama = {
  model_type: 'llama',
  vocab_size: 20,
  hidden_size: 16,
  intermediate_size: 12,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 16,
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
};

let directory: string;
beforeAll(async () => {
  directory = await writeCheckpoint(randomModel(llama));
});
afterAll(() => rm(directory, { recursive: true }));

type Failure = new (message: string) => Error;

describe('options of loadTextModel', () => {
  test.each<[object, Failure, RegExp]>([
    [{ devise: 'cpu' }, InvalidArgumentError, /unknown option "devise"; did you mean "device"/],
    [{ device: 'gpu' }, InvalidArgumentError, /device.*auto.*got "gpu"/],
    [{ weights: 'q5' }, InvalidArgumentError, /weights.*stored.*got "q5"/],
    [{ kvCache: 'f64' }, InvalidArgumentError, /kvCache/],
    [{ threads: 0 }, InvalidArgumentError, /threads.*0/],
    [{ threads: 1.5 }, InvalidArgumentError, /threads/],
    [{ signal: 1 }, InvalidArgumentError, /signal/],
    [{ kvCache: 'q8' }, UnsupportedError, /kvCache/],
    [{ weights: 'q4' }, UnsupportedError, /weights/],
    [{ device: 'cuda' }, UnsupportedError, /cuda/],
  ])('%j', async (options, failure, message) => {
    const loading = loadTextModel(directory, options);
    await expect(loading).rejects.toThrow(message);
    await expect(loading).rejects.toBeInstanceOf(failure);
  });

  test('no such directory, and no path', async () => {
    await expect(loadTextModel('no/such/model')).rejects.toThrow(/no\/such\/model/);
    await expect(loadTextModel(7 as unknown as string)).rejects.toBeInstanceOf(InvalidArgumentError);
  });

  test('an aborted load', async () => {
    await expect(loadTextModel(directory, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
    const abort = new AbortController();
    const loading = loadTextModel(directory, { signal: abort.signal });
    abort.abort();
    await expect(loading).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('progress reaches the whole', async () => {
    const seen: { loaded: number; total: number }[] = [];
    await using model = await loadTextModel(directory, { onProgress: (p) => seen.push(p) });
    expect(model.info.parameters).toBeGreaterThan(0);
    expect(seen.at(-1)?.loaded).toBe(seen.at(-1)?.total);
    expect(seen.at(-1)?.total).toBe(model.info.parameters * 4);
  });
});
