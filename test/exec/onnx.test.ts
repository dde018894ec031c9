import { truncateSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { OnnxThread } from '../../lib/exec/onnx_thread.js';
import { loadTextModel, ModelFormatError, OutOfMemoryError } from '../../lib/index.js';
import { loadWith } from '../../lib/testing.js';
import { randomModel, writeCheckpoint } from '../models/tiny_checkpoint.js';
import { type Ended, runNode } from '../run_node.js';

const config = {
  model_type: 'llama',
  vocab_size: 500,
  hidden_size: 256,
  intermediate_size: 512,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
};
const prompt = Array.from({ length: 500 }, (_, i) => (i * 7) % 499);
const long = { maxNewTokens: 200, eosTokenId: [] };
const onnx = { device: 'onnx' as const };

let directory: string;
beforeAll(async () => {
  directory = await writeCheckpoint(randomModel(config));
});
afterAll(() => rm(directory, { recursive: true }));

/** Runs a module that loads the model on `onnx`, in a process of its own. */
const run = (code: string): Promise<Ended> =>
  runNode(
    `const source = ${JSON.stringify(directory)};
     const prompt = Array.from({ length: 500 }, (_, i) => (i * 7) % 499);
     const long = { maxNewTokens: 200, eosTokenId: [] };
     const load = () => loadTextModel(source, { device: 'onnx' });
     ${code}`,
    { timeout: 40_000 },
  );

describe('while onnxruntime computes', () => {
  test('the event loop turns', async () => {
    await using model = await loadTextModel(directory, onnx);
    let turns = 0;
    let going = true;
    const turn = (): void => {
      turns++;
      if (going) setImmediate(turn);
    };
    // One step of 500 rows is one call of onnxruntime.
    const request = model.generate(prompt, { maxNewTokens: 1 });
    setImmediate(turn);
    await request;
    going = false;
    expect(turns).toBeGreaterThan(200);
  });

  test('an abort is answered at once, and those beside it go on to the same ids', async () => {
    await using model = await loadTextModel(directory, onnx);
    const { tokens } = await model.generate(prompt.slice(0, 9), { maxNewTokens: 40, eosTokenId: [] });
    const abort = new AbortController();
    const stopped = model.generate(prompt.slice(3, 90), { ...long, signal: abort.signal });
    const beside = model.generate(prompt.slice(0, 9), { maxNewTokens: 40, eosTokenId: [] });
    for await (const piece of stopped) if (piece.tokens.length > 0) break;
    abort.abort();
    await expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
    expect((await beside).tokens).toEqual(tokens);
  });

  test('dispose ends what is pending', async () => {
    const model = await loadTextModel(directory, onnx);
    setTimeout(() => void model.dispose(), 20);
    await expect(model.generate(prompt, long)).rejects.toThrow(/disposed/);
    await model.dispose();
    await expect(model.logits([1])).rejects.toThrow(/disposed/);
  });
});

describe('a process with a model on onnxruntime', () => {
  const clean = { code: 0, signal: null, err: '' };

  test.each([0, 5, 30, 100])('process.exit during a run, after %i ms', async (wait) => {
    const code = `
      const model = await load();
      void model.generate(prompt, long);
      setTimeout(() => { console.log('bye'); process.exit(0); }, ${wait});`;
    expect(await run(code)).toMatchObject({ ...clean, out: 'bye' });
  });

  test.each([0, 20, 60])('process.exit during a load, %i ms after its first progress', async (wait) => {
    const code = `void loadTextModel(source, { device: 'onnx',
      onProgress: ({ loaded }) => { if (loaded === 0) setTimeout(() => process.exit(0), ${wait}); } });`;
    expect(await run(code)).toMatchObject(clean);
  });

  test('an error that nobody catches, during a run', async () => {
    const result = await run(`
      const model = await load();
      void model.generate(prompt, long);
      setTimeout(() => { throw new Error('mine'); }, 30);`);
    expect(result).toMatchObject({ code: 1, signal: null });
    expect(result.err).toContain('mine');
    expect(result.err).not.toContain('terminate called');
  });

  test('ends by itself where nobody disposes', async () => {
    const code = `const model = await load();
      console.log((await model.generate(prompt, { maxNewTokens: 3, eosTokenId: [] })).tokens.length);`;
    expect(await run(code)).toMatchObject({ ...clean, out: '3' });
  });

  test('an aborted load is answered at once, and the process ends by itself', async () => {
    const code = `
      const abort = new AbortController();
      const loading = loadTextModel(source, { device: 'onnx', signal: abort.signal,
        onProgress: ({ loaded }) => { if (loaded === 0) setTimeout(() => abort.abort(), 5); } });
      await loading.catch((error) => console.log(error.name));`;
    expect(await run(code)).toMatchObject({ ...clean, out: 'AbortError' });
  });
});

describe('a checkpoint', () => {
  test('in Hugging Face’s cache, where files are links into another folder', async () => {
    const root = await mkdtemp(join(tmpdir(), 'triga-links-'));
    try {
      const snapshot = join(root, 'snapshots', 'abc');
      await mkdir(snapshot, { recursive: true });
      for (const name of ['config.json', 'model.safetensors'])
        await symlink(join(directory, name), join(snapshot, name));
      await using linked = await loadTextModel(snapshot, onnx);
      await using plain = await loadTextModel(directory, onnx);
      const [a, b] = await Promise.all([linked, plain].map((model) => model.logits([1, 2, 3])));
      expect(a?.data).toEqual(b?.data);
    } finally {
      await rm(root, { recursive: true });
    }
  });

  test('that is cut short after its header was read is a ModelFormatError', async () => {
    const broken = await writeCheckpoint(randomModel(config, 2));
    try {
      const loading = loadTextModel(broken, {
        ...onnx,
        // The first word of progress comes between the headers and the weights.
        onProgress: ({ loaded }) => {
          if (loaded === 0) truncateSync(join(broken, 'model.safetensors'), 20_000);
        },
      });
      await expect(loading).rejects.toBeInstanceOf(ModelFormatError);
    } finally {
      await rm(broken, { recursive: true });
    }
  });

  test('whose KV cache does not fit is an OutOfMemoryError', async () => {
    await expect(loadWith(directory, onnx, { kvBytes: 100 })).rejects.toBeInstanceOf(OutOfMemoryError);
  });

  test('logits() after generate() makes no second session, which would hold the weights again', async () => {
    const ask = vi.spyOn(OnnxThread.prototype, 'ask');
    try {
      await using model = await loadTextModel(directory, onnx);
      await model.generate([1, 2, 3], { maxNewTokens: 2 });
      await model.logits([1, 2, 3]);
      const compiled = ask.mock.calls.map(([request]) => request).filter(({ kind }) => kind === 'compile');
      const weighty = compiled.filter(
        (request) => 'model' in request && (request.model?.length ?? 0) > 10_000,
      );
      expect(compiled).toHaveLength(3); // the sampler's graph, the copier's, and that of logits
      expect(weighty).toHaveLength(1);
    } finally {
      ask.mockRestore();
    }
  });
});
