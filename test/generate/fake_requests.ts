import { expect } from 'vitest';
import { BeamGeneration } from '../../lib/generate/beam_generation.js';
import { noDefaults } from '../../lib/generate/generation_config.js';
import { type GenerateOptions, resolveOptions } from '../../lib/generate/options.js';
import { SampledGeneration } from '../../lib/generate/sampled_generation.js';
import { type FakeModel, fakeVocabulary } from './fake_model.js';

/** Ids of a prompt. */
export const text = (length: number, seed = 0): number[] =>
  Array.from({ length }, (_, i) => (i * 7 + seed) % fakeVocabulary);

export type Made = SampledGeneration | BeamGeneration;

/** A request to the fake model. */
export function generation(
  prompt: readonly number[],
  call: GenerateOptions,
  {
    onToken = () => {},
    shared = true,
    source,
  }: { onToken?: () => void; shared?: boolean; source?: readonly number[] } = {},
): Made {
  const root = shared && !source ? 'base' : undefined;
  const options = resolveOptions(call, noDefaults, {
    vocabSize: fakeVocabulary,
    promptLength: prompt.length,
  });
  if (options.mode === 'beam')
    return new BeamGeneration({ prompt, source, options, root, vocabSize: fakeVocabulary });
  return new SampledGeneration({ prompt, source, options, root, onToken });
}

/** A signal that nobody aborts. */
export const never = (): AbortSignal => new AbortController().signal;

/** New tokens of each returned sequence. */
export const tokensOf = (made: Made): number[][] => made.outcome.sequences.map(({ tokens }) => tokens);

/** Waits until nothing runs: the blocks of a request come back just after its end. */
export async function settled({ scheduler, faults }: FakeModel): Promise<void> {
  await scheduler.idle();
  expect(faults).toEqual([]);
}
