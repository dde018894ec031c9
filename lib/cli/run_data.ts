import { splits } from '../data/manifest.js';
import { prepareData } from '../data/prepare_data.js';
import { describeReport } from '../data/report.js';
import { type DocumentFlags, documentOptionsOf } from './document_flags.js';
import { terminalProgress } from './progress.js';
import { print } from './terminal.js';

export interface DataFlags extends DocumentFlags {
  readonly output: string;
  readonly tokenizer: string;
  readonly endOfText?: string;
  readonly validation?: number;
  readonly seed?: number;
  readonly shardTokens?: number;
  readonly json?: boolean;
}

/** Runs `triga data`. */
export async function runData(
  inputs: readonly string[],
  flags: DataFlags,
  signal: AbortSignal,
): Promise<void> {
  const { output, tokenizer, endOfText, validation, seed, shardTokens, json } = flags;
  const progress = terminalProgress();
  try {
    const result = await prepareData(inputs, {
      ...documentOptionsOf(flags),
      out: output,
      tokenizer,
      endOfText,
      validation,
      seed,
      shardTokens,
      signal,
      onProgress: ({ loaded, total }) => progress.update('Encoding', loaded, total),
    });
    progress.clear();
    const parts = splits.map((split) => {
      const { tokens, documents } = result.splits[split];
      return `${split} ${tokens.toLocaleString('en-US')} tokens of ${documents.toLocaleString('en-US')} documents`;
    });
    const text = json
      ? JSON.stringify(result, null, 2)
      : `${describeReport(result.report)}\n${output}: ${parts.join(', ')}`;
    await print(`${text}\n`, signal);
  } finally {
    progress.clear();
  }
}
