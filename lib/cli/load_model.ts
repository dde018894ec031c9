import { type LoadOptions, loadKind, loadTextModel } from '../generate/load_text_model.js';
import type { Seq2SeqModel } from '../generate/seq2seq_model.js';
import type { ModelInfo, TextModel } from '../generate/text_model.js';
import { isHubSource } from '../weights/is_hub_source.js';
import { type LoadFlags, loadOptionsOf } from './load_flags.js';
import { type Progress, terminalProgress } from './progress.js';

/** The directory of a model; one that has to be downloaded shows its progress. */
export async function locateModel(
  source: string,
  signal: AbortSignal,
  progress: Progress = terminalProgress(),
): Promise<string> {
  if (!isHubSource(source)) return source;
  try {
    const { resolveHubModel } = await import('../weights/hub.js');
    return await resolveHubModel(source, {
      signal,
      onProgress: ({ file, loadedBytes, totalBytes }) =>
        progress.update(`Downloading ${file}`, loadedBytes, totalBytes),
    });
  } finally {
    progress.clear();
  }
}

/** Loads a model that continues text, with a bar on the terminal. */
export const loadModel = (
  source: string | undefined,
  flags: LoadFlags,
  signal: AbortSignal,
): Promise<TextModel> =>
  loadShown(source, signal, (directory, options) =>
    loadTextModel(directory, { ...loadOptionsOf(flags), ...options }),
  );

/** As {@link loadModel}, also of a model with an encoder: its config.json says which it is. */
export const loadAnyModel = (
  source: string | undefined,
  flags: LoadFlags,
  signal: AbortSignal,
): Promise<TextModel | Seq2SeqModel> =>
  loadShown(source, signal, (directory, options) =>
    loadKind({ where: 'loadTextModel' }, directory, { ...loadOptionsOf(flags), ...options }),
  );

/** Loads a model with a bar on the terminal, and says so if it runs elsewhere than it should. */
export async function loadShown<
  M extends { readonly info: Pick<ModelInfo, 'device' | 'fallbackReason'> },
  S extends string | undefined,
>(
  source: S,
  signal: AbortSignal,
  load: (directory: S | string, options: Pick<LoadOptions, 'signal' | 'onProgress'>) => Promise<M>,
): Promise<M> {
  const progress = terminalProgress();
  const directory = source === undefined ? source : await locateModel(source, signal, progress);
  try {
    const model = await load(directory, {
      signal,
      onProgress: ({ loaded, total }) => progress.update('Loading', loaded, total),
    });
    const { device, fallbackReason } = model.info;
    progress.clear();
    if (fallbackReason) process.stderr.write(`triga: runs on ${device}: ${fallbackReason}\n`);
    return model;
  } finally {
    progress.clear();
  }
}
