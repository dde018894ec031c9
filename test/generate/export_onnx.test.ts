import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as Ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  exportOnnx,
  InvalidArgumentError,
  loadTextModel,
  ModelFormatError,
  UnsupportedError,
} from '../../lib/index.js';
import { writeSafetensors } from '../../lib/weights/write_safetensors.js';
import { type GoldenTensor, goldenRoot, hasGolden, readGolden } from '../golden.js';
import { randomModel, writeCheckpoint } from '../models/tiny_checkpoint.js';

const ort = createRequire(import.meta.url)('onnxruntime-node') as typeof Ort;
const config = {
  model_type: 'llama',
  vocab_size: 60,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
};

let folder: string;
let directory: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'triga-export-'));
  directory = await writeCheckpoint(randomModel(config));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await rm(directory, { recursive: true });
});

type Rows = readonly (readonly number[])[];
const i64 = (rows: Rows): Ort.Tensor =>
  new ort.Tensor('int64', BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]?.length ?? 0]);

/** Runs an exported model as its users do, with keys and values of an earlier run or none. */
async function run(
  session: Ort.InferenceSession,
  batch: { readonly ids: Rows; readonly mask: Rows; readonly positions: Rows },
  past?: Ort.InferenceSession.OnnxValueMapType,
): Promise<Ort.InferenceSession.OnnxValueMapType> {
  const feeds: Record<string, Ort.Tensor> = {
    input_ids: i64(batch.ids),
    attention_mask: i64(batch.mask),
    position_ids: i64(batch.positions),
  };
  for (const { name, shape } of session.inputMetadata.filter(
    (m) => m.isTensor,
  ) as Ort.InferenceSession.TensorValueMetadata[]) {
    if (!name.startsWith('past_key_values.')) continue;
    const dims = [batch.ids.length, Number(shape[1]), 0, Number(shape[3])];
    const present = name.replace('past_key_values', 'present');
    feeds[name] = (past?.[present] as Ort.Tensor) ?? new ort.Tensor('float32', new Float32Array(0), dims);
  }
  return await session.run(feeds);
}

const ones = (n: number): number[] => new Array<number>(n).fill(1);
const upTo = (n: number, from = 0): number[] => Array.from({ length: n }, (_, i) => from + i);
const numbers = (values: Ort.InferenceSession.OnnxValueMapType): Float32Array =>
  (values.logits as Ort.Tensor).data as Float32Array;
const furthest = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((worst, x, i) => Math.max(worst, Math.abs(x - (b[i] as number))), 0);
};

const cases = [
  'gpt2',
  'llama_bf16',
  'llama_gqa',
  'llama_rope_llama3',
  'llama_sharded',
  'mistral_sliding',
  'qwen2',
  'qwen3',
];

describe.skipIf(!hasGolden('gpt2'))('plain onnxruntime on an exported model (../shared/golden)', () => {
  test.each(cases)('%s: the golden logits, at once and token by token', async (name) => {
    const to = join(folder, name);
    await exportOnnx(join(goldenRoot, name), to);
    const session = await ort.InferenceSession.create(join(to, 'model.onnx'));
    const { tensors } = readGolden(name);
    const ids = Array.from((tensors['prompt/input_ids'] as GoldenTensor).data);
    const want = (tensors['prompt/logits'] as GoldenTensor).data;
    const whole = await run(session, { ids: [ids], mask: [ones(ids.length)], positions: [upTo(ids.length)] });
    expect(furthest(numbers(whole), want)).toBeLessThan(1e-4);
    let past: Ort.InferenceSession.OnnxValueMapType | undefined;
    const width = want.length / ids.length;
    for (const [i, id] of ids.entries()) {
      past = await run(session, { ids: [[id]], mask: [ones(i + 1)], positions: [[i]] }, past);
      expect(furthest(numbers(past), want.subarray(i * width, (i + 1) * width))).toBeLessThan(1e-4);
    }
    await session.release();
  });

  test('llama_gqa: a batch padded on the left, and its next tokens', async () => {
    const to = join(folder, 'padded');
    await exportOnnx(join(goldenRoot, 'llama_gqa'), to);
    const session = await ort.InferenceSession.create(join(to, 'model.onnx'));
    await using model = await loadTextModel(join(goldenRoot, 'llama_gqa'), {
      device: 'reference',
      weights: 'f32',
    });
    const prompts = [
      [5, 9, 60, 3, 77, 21],
      [8, 100],
    ];
    const ids = prompts.map((p) => [...new Array<number>(6 - p.length).fill(0), ...p]);
    const mask = prompts.map((p) => [...new Array<number>(6 - p.length).fill(0), ...ones(p.length)]);
    const positions = prompts.map((p) => [...new Array<number>(6 - p.length).fill(0), ...upTo(p.length)]);
    const first = await run(session, { ids, mask, positions });
    const next = [[31], [32]];
    const later = await run(
      session,
      { ids: next, mask: mask.map((m) => [...m, 1]), positions: prompts.map((p) => [p.length]) },
      first,
    );
    for (const [b, prompt] of prompts.entries()) {
      const want = (await model.logits([...prompt, ...(next[b] as number[])])).data;
      const width = model.info.vocabSize;
      const rows = numbers(first).subarray(((b + 1) * 6 - prompt.length) * width, (b + 1) * 6 * width);
      expect(furthest(rows, want.subarray(0, prompt.length * width))).toBeLessThan(1e-4);
      const row = numbers(later).subarray(b * width, (b + 1) * width);
      expect(furthest(row, want.subarray(prompt.length * width))).toBeLessThan(1e-4);
    }
    await session.release();
  });
});

describe('exportOnnx', () => {
  test('writes a complete directory, and says what it wrote', async () => {
    for (const name of ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja', 'notes.txt'])
      await writeFile(join(directory, name), '{}');
    const seen: number[] = [];
    const to = join(folder, 'new', 'folder');
    const result = await exportOnnx(directory, to, {
      onProgress: ({ loaded, total }) => seen.push(loaded / total),
    });
    const files = [
      'model.onnx',
      'model.onnx_data',
      'config.json',
      'tokenizer.json',
      'tokenizer_config.json',
      'chat_template.jinja',
    ];
    expect([...result.files].sort()).toEqual([...files].sort());
    expect((await readdir(to)).sort()).toEqual([...files].sort());
    const sizes = await Promise.all(files.slice(0, 2).map(async (name) => (await stat(join(to, name))).size));
    expect(result.bytes).toBe((sizes[0] as number) + (sizes[1] as number));
    expect(seen.at(-1)).toBe(1);
    expect(await readFile(join(to, 'config.json'), 'utf8')).toBe(
      await readFile(join(directory, 'config.json'), 'utf8'),
    );
    for (const name of ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja', 'notes.txt'])
      await rm(join(directory, name));
  });

  test('into the model’s own directory leaves its files as they are', async () => {
    const own = await writeCheckpoint(randomModel(config));
    const before = await readFile(join(own, 'config.json'), 'utf8');
    await exportOnnx(own, own);
    expect(await readFile(join(own, 'config.json'), 'utf8')).toBe(before);
    await using model = await loadTextModel(own);
    expect(model.info.family).toBe('llama');
    await rm(own, { recursive: true });
  });

  test('f16 weights stay f16, and with weights f32 become twice as large', async () => {
    const half = await writeCheckpoint(randomModel(config));
    const { weights } = randomModel(config);
    await writeSafetensors(
      join(half, 'model.safetensors'),
      [...weights].map(([name, { shape }]) => ({
        name,
        dtype: 'f16' as const,
        shape,
        data: new Uint16Array(shape.reduce((n, d) => n * d, 1)).map((_, i) => 0x2c00 + (i % 700)),
      })),
    );
    const sizes: number[] = [];
    for (const type of ['stored', 'f32'] as const) {
      const to = join(folder, `half-${type}`);
      await exportOnnx(half, to, { weights: type });
      sizes.push((await stat(join(to, 'model.onnx_data'))).size);
      const session = await ort.InferenceSession.create(join(to, 'model.onnx'));
      await using model = await loadTextModel(half, { device: 'reference' });
      const got = await run(session, { ids: [[1, 2, 3]], mask: [[1, 1, 1]], positions: [[0, 1, 2]] });
      const want = (await model.logits([1, 2, 3])).data;
      expect(furthest(numbers(got), want)).toBeLessThan(1e-3 * Math.max(...Array.from(want, Math.abs)));
      await session.release();
    }
    expect((sizes[1] as number) / (sizes[0] as number)).toBeGreaterThan(1.8);
    await rm(half, { recursive: true });
  });

  test('an abort leaves no file, and one that was there stays', async () => {
    const to = join(folder, 'aborted');
    await exportOnnx(directory, to);
    const before = await readFile(join(to, 'model.onnx_data'));
    for (const place of [to, join(folder, 'never')]) {
      const abort = new AbortController();
      const exporting = exportOnnx(directory, place, {
        signal: abort.signal,
        onProgress: () => abort.abort(),
      });
      await expect(exporting).rejects.toMatchObject({ name: 'AbortError' });
    }
    expect(await readFile(join(to, 'model.onnx_data'))).toEqual(before);
    expect((await readdir(to)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    expect(await readdir(join(folder, 'never'))).toEqual([]);
    await expect(exportOnnx(directory, to, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });

  test('what it refuses, and how', async () => {
    const scaled = { ...config, rope_scaling: { type: 'dynamic', factor: 2 } };
    const dynamic = await writeCheckpoint(randomModel(scaled));
    const strange = await writeCheckpoint({
      ...randomModel(config),
      config: { ...config, model_type: 'mamba' },
    });
    const file = join(folder, 'a file');
    await writeFile(file, '');
    const onlyOnnx = join(folder, 'only');
    await exportOnnx(directory, onlyOnnx);
    const weightless = join(folder, 'weightless');
    await exportOnnx(directory, weightless);
    for (const name of ['model.onnx', 'model.onnx_data']) await rm(join(weightless, name));
    const to = join(folder, 'refused');
    const unknown = { wieghts: 'f32' };
    const refusals: readonly (readonly [() => Promise<unknown>, new (m: string) => Error, RegExp])[] = [
      [() => exportOnnx(dynamic, to), UnsupportedError, /rope_scaling "dynamic"/],
      [() => exportOnnx(strange, to), UnsupportedError, /model_type "mamba"/],
      [() => exportOnnx(directory, join(file, 'below')), InvalidArgumentError, /a file.*ENOTDIR/],
      [() => exportOnnx(directory, file), InvalidArgumentError, /a file.*EEXIST/],
      [() => exportOnnx(onlyOnnx, to), UnsupportedError, /ONNX models are written, not read/],
      [() => loadTextModel(onlyOnnx), UnsupportedError, /ONNX models are written, not read/],
      [() => exportOnnx(weightless, to), ModelFormatError, /model\.safetensors.*got no weights/],
      [() => exportOnnx(directory, ''), InvalidArgumentError, /directory/],
      [() => exportOnnx(directory, to, unknown as object), InvalidArgumentError, /did you mean "weights"/],
      [() => exportOnnx(directory, to, { weights: 'q4' as never }), InvalidArgumentError, /weights/],
    ];
    for (const [refused, type, message] of refusals) {
      const error = await refused().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(type);
      expect((error as Error).message).toMatch(message);
    }
    await rm(dynamic, { recursive: true });
    await rm(strange, { recursive: true });
  });
});
