import { type QuantizeOptions, quantizeModel } from '../compress/quantize_model.js';
import { locateModel } from './load_model.js';
import { terminalProgress } from './progress.js';
import { bytes } from './table.js';
import { print } from './terminal.js';

export interface QuantizeFlags extends Pick<QuantizeOptions, 'weights'> {
  readonly output: string;
  readonly json?: boolean;
}

/** Runs `triga quantize`. */
export async function runQuantize(
  source: string,
  { output, weights, json }: QuantizeFlags,
  signal: AbortSignal,
): Promise<void> {
  const progress = terminalProgress();
  const directory = await locateModel(source, signal, progress);
  try {
    const result = await quantizeModel(directory, output, {
      weights,
      signal,
      onProgress: ({ loaded, total }) => progress.update('Writing', loaded, total),
    });
    progress.clear();
    const text = json
      ? JSON.stringify(result, null, 2)
      : `${result.directory}: ${result.matrices} matrices in q8, ${bytes(result.bytesBefore)} → ${bytes(result.bytes)}`;
    await print(`${text}\n`, signal);
  } finally {
    progress.clear();
  }
}
