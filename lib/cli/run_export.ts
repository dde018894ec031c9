import { type ExportOnnxOptions, exportOnnx } from '../generate/export_onnx.js';
import { locateModel } from './load_model.js';
import { terminalProgress } from './progress.js';
import { print } from './terminal.js';

export interface ExportOnnxFlags extends Pick<ExportOnnxOptions, 'weights'> {
  readonly output: string;
  readonly json?: boolean;
}

/** Runs `triga export onnx`. */
export async function runExportOnnx(
  source: string,
  { output, weights, json }: ExportOnnxFlags,
  signal: AbortSignal,
): Promise<void> {
  const progress = terminalProgress();
  const directory = await locateModel(source, signal, progress);
  try {
    const result = await exportOnnx(directory, output, {
      weights,
      signal,
      onProgress: ({ loaded, total }) => progress.update('Writing', loaded, total),
    });
    progress.clear();
    const text = json ? JSON.stringify(result, null, 2) : result.files.join('\n');
    await print(`${text}\n`, signal);
  } finally {
    progress.clear();
  }
}
