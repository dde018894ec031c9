import { describeReport } from '../data/report.js';
import { trainTokenizer } from '../data/train_tokenizer.js';
import { type DocumentFlags, documentOptionsOf } from './document_flags.js';
import { terminalProgress } from './progress.js';
import { print } from './terminal.js';

export interface TrainTokenizerFlags extends DocumentFlags {
  readonly output: string;
  readonly vocabSize: number;
  readonly specialTokens?: readonly string[];
  readonly minFrequency?: number;
  readonly json?: boolean;
}

/** Runs `triga tokenizer train`. */
export async function runTrainTokenizer(
  inputs: readonly string[],
  flags: TrainTokenizerFlags,
  signal: AbortSignal,
): Promise<void> {
  const { output, vocabSize, specialTokens, minFrequency, json } = flags;
  const progress = terminalProgress();
  try {
    const result = await trainTokenizer(inputs, {
      ...documentOptionsOf(flags),
      vocabSize,
      specialTokens,
      minFrequency,
      out: output,
      signal,
      onProgress: ({ phase, done, total }) =>
        progress.update(phase === 'reading' ? 'Reading' : 'Learning', done, total),
    });
    progress.clear();
    const { merges, words, longWords, report } = result;
    const summary = { directory: output, vocabSize: result.vocabSize, merges, words, longWords, report };
    const text = json
      ? JSON.stringify(summary, null, 2)
      : `${describeReport(report)}\n${output}: ${result.vocabSize} tokens, ${merges} merges, of ${words} different words`;
    await print(`${text}\n`, signal);
  } finally {
    progress.clear();
  }
}
