import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { LoadOptions } from '../../lib/generate/load_text_model.js';
import type { GenerateOptions, TextModel } from '../../lib/index.js';
import { loadTextModel } from '../../lib/index.js';
import type { Tensor } from '../../lib/tensor.js';
import { availableIsas, hiddenStates } from '../../lib/testing.js';
import { type Golden, type GoldenTensor, goldenRoot, hasGolden, readGolden } from '../golden.js';

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

interface CaseJson {
  readonly tensors: Readonly<Record<string, { readonly suggest_atol?: number }>>;
  readonly [run: string]: unknown;
}

/** Where a case is run: the living definition, onnxruntime, and every instruction set of this machine. */
const places: readonly {
  readonly name: string;
  readonly device: 'reference' | 'onnx' | 'cpu';
  readonly isa?: string;
}[] = [
  { name: 'reference', device: 'reference' },
  { name: 'onnx', device: 'onnx' },
  ...availableIsas().map((isa) => ({ name: `cpu ${isa}`, device: 'cpu' as const, isa })),
];

const savedIsa = process.env.TRIGA_ISA;
afterEach(() => {
  if (savedIsa === undefined) delete process.env.TRIGA_ISA;
  else process.env.TRIGA_ISA = savedIsa;
});

async function load(
  name: string,
  place: (typeof places)[number],
  options: LoadOptions = {},
): Promise<TextModel> {
  if (place.isa) process.env.TRIGA_ISA = place.isa;
  return await loadTextModel(path.join(goldenRoot, name), {
    device: place.device,
    weights: 'f32',
    ...options,
  });
}

const row = (t: GoldenTensor, i: number): number[] => {
  const width = t.shape.at(-1) as number;
  return Array.from(t.data.subarray(i * width, (i + 1) * width));
};

function maxDifference(got: ArrayLike<number>, want: ArrayLike<number>): number {
  expect(got.length).toBe(want.length);
  let worst = 0;
  for (let i = 0; i < got.length; i++) {
    const d = Math.abs((got[i] as number) - (want[i] as number));
    if (!(d <= worst)) worst = d;
  }
  return worst;
}

/** Hugging Face's arguments of a run as our options. */
function optionsOf(run: Readonly<Record<string, unknown>>): GenerateOptions {
  const camel = Object.entries(run)
    .filter(([key]) => key !== 'pad_token_id')
    .map(([key, value]) => [key.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase()), value]);
  return Object.fromEntries(camel) as GenerateOptions;
}

const trimmed = (sequence: readonly number[], tokens: number): number[] => sequence.slice(0, tokens);

async function checkLogits(model: TextModel, { tensors, json }: Golden<CaseJson>): Promise<void> {
  const ids = row(tensors['prompt/input_ids'] as GoldenTensor, 0);
  const logits = await model.logits(ids);
  expect(maxDifference(logits.data, (tensors['prompt/logits'] as GoldenTensor).data)).toBeLessThan(1e-4);
  const states = await hiddenStates(model, ids);
  states.forEach((state: Tensor, i) => {
    const name = `prompt/hidden_states.${i}`;
    expect(maxDifference(state.data, (tensors[name] as GoldenTensor).data), name).toBeLessThan(
      Number(json.tensors[name]?.suggest_atol),
    );
  });
  expect(tensors[`prompt/hidden_states.${states.length}`]).toBeUndefined();
}

/** Greedy runs: sequences exactly. A run that ends early is padded in the golden. */
async function checkRun(model: TextModel, { tensors, json }: Golden<CaseJson>, run: string): Promise<void> {
  const prompt = row(tensors['prompt/input_ids'] as GoldenTensor, 0);
  const want = row(tensors[`${run}/sequences`] as GoldenTensor, 0);
  const { tokens } = await model.generate(prompt, optionsOf(json[run] as Record<string, unknown>));
  expect([...prompt, ...tokens]).toEqual(trimmed(want, prompt.length + tokens.length));
  expect(want.slice(prompt.length + tokens.length).every((id) => id === 0)).toBe(true);
}

async function checkStepLogits(model: TextModel, { tensors }: Golden<CaseJson>): Promise<void> {
  const sequence = row(tensors['greedy/sequences'] as GoldenTensor, 0);
  const steps = tensors['greedy/step_logits'] as GoldenTensor;
  const logits = await model.logits(sequence.slice(0, -1));
  const vocabulary = logits.shape[1] as number;
  const tail = logits.data.subarray(logits.data.length - (steps.shape[0] as number) * vocabulary);
  expect(maxDifference(tail, steps.data)).toBeLessThan(1e-4);
}

async function checkBeams(model: TextModel, { tensors, json }: Golden<CaseJson>, run: string): Promise<void> {
  const prompt = row(tensors['prompt/input_ids'] as GoldenTensor, 0);
  const want = tensors[`${run}/sequences`] as GoldenTensor;
  const scores = tensors[`${run}/sequences_scores`] as GoldenTensor;
  const { sequences } = await model.generate(prompt, optionsOf(json[run] as Record<string, unknown>));
  expect(sequences).toHaveLength(want.shape[0] as number);
  sequences.forEach(({ tokens, score }, i) => {
    const golden = row(want, i);
    expect([...prompt, ...tokens]).toEqual(trimmed(golden, prompt.length + tokens.length));
    expect(Math.abs(score - (scores.data[i] as number))).toBeLessThan(1e-4);
  });
}

/** All rows at once: the golden pads on the left, we don't pad. */
async function checkBatch(model: TextModel, { tensors }: Golden<CaseJson>): Promise<void> {
  const ids = tensors['batch/input_ids'] as GoldenTensor;
  const mask = tensors['batch/attention_mask'] as GoldenTensor;
  const want = tensors['batch/greedy_sequences'] as GoldenTensor;
  const padding = Array.from(
    { length: ids.shape[0] as number },
    (_, b) => row(mask, b).filter((m) => m === 0).length,
  );
  const prompts = padding.map((pad, b) => row(ids, b).slice(pad));
  const results = await Promise.all(prompts.map((p) => model.generate(p, { maxNewTokens: 12 })));
  results.forEach(({ tokens }, b) => {
    const golden = row(want, b).slice(ids.shape[1] as number);
    expect(tokens, `row ${b}`).toEqual(golden.slice(0, tokens.length));
  });
  const logits = tensors['batch/logits'] as GoldenTensor;
  for (const [b, prompt] of prompts.entries()) {
    const got = await model.logits(prompt);
    const width = (ids.shape[1] as number) * (logits.shape[2] as number);
    expect(
      maxDifference(got.data, logits.data.subarray((b + 1) * width - got.data.length, (b + 1) * width)),
    ).toBeLessThan(1e-4);
  }
}

describe.skipIf(!hasGolden('gpt2')).each(places)('goldens on $name', (place) => {
  test.each(cases)('%s', async (name) => {
    const golden = readGolden<CaseJson>(name);
    await using model = await load(name, place);
    expect(model.info.ignoredFields).toEqual([]);
    await checkLogits(model, golden);
    await checkStepLogits(model, golden);
    for (const run of ['greedy', 'eos_stop', 'penalty'])
      if (golden.tensors[`${run}/sequences`]) await checkRun(model, golden, run);
    for (const run of ['beam', 'beam_eos'])
      if (golden.tensors[`${run}/sequences`]) await checkBeams(model, golden, run);
    if (golden.tensors['batch/input_ids']) await checkBatch(model, golden);
  });

  test.runIf(place.device !== 'reference')('stored bf16 stays within 1e-2 of f32', async () => {
    const ids = row(readGolden<CaseJson>('llama_bf16').tensors['prompt/input_ids'] as GoldenTensor, 0);
    await using f32 = await load('llama_bf16', place);
    await using bf16 = await load('llama_bf16', place, { weights: 'stored' });
    expect(bf16.info.weights).toBe('bf16');
    const [want, got] = [await f32.logits(ids), await bf16.logits(ids)].map(
      (t) => t.data as Float32Array,
    ) as [Float32Array, Float32Array];
    const norm = (x: Float32Array): number => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));
    expect(norm(got.map((v, i) => v - (want[i] as number))) / norm(want)).toBeLessThan(1e-2);
  });
});
