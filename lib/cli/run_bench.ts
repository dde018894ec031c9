import { type BenchOptions, type BenchResult, benchTextModel } from '../bench/bench_text_model.js';
import { locateModel } from './load_model.js';
import { terminalProgress } from './progress.js';
import { bytes, figure, percent, section } from './table.js';
import { print } from './terminal.js';

export interface BenchFlags
  extends Pick<BenchOptions, 'prompt' | 'tokens' | 'batch' | 'rounds' | 'weights' | 'kvCache' | 'threads'> {
  readonly json?: boolean;
}

/** Runs `triga bench`. */
export async function runBench(
  source: string | undefined,
  { json, ...options }: BenchFlags,
  signal: AbortSignal,
): Promise<void> {
  const progress = terminalProgress();
  const directory = source === undefined ? undefined : await locateModel(source, signal, progress);
  let result: BenchResult;
  try {
    result = await benchTextModel(directory, {
      ...options,
      signal,
      onProgress: ({ done, total }) => progress.update('Measuring', done, total),
    });
  } finally {
    progress.clear();
  }
  await print(`${json ? JSON.stringify(result, null, 2) : table(result)}\n`, signal);
}

function table(r: BenchResult): string {
  return section(`${r.cpu}, ${r.isa}, ${r.threads} threads`, [
    ['Prefill', `${figure(r.prefillTokensPerSecond)} tokens/s`],
    ['', `${percent(r.peakShare)} of ${figure(r.peakGops)} GOP/s`],
    ['Decode', `${figure(r.decodeTokensPerSecond)} tokens/s, spread ${percent(r.spread)}`],
    ['', `${percent(r.bandwidthShare)} of ${figure(r.bandwidthGBps)} GB/s`],
    ['Memory', bytes(r.rssBytes)],
    ['Loading', `${figure(r.loadMs)} ms`],
  ]);
}
