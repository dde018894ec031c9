import { type LoadOptions, loadKind } from './load_text_model.js';
import type { Seq2SeqModel } from './seq2seq_model.js';

/**
 * Loads an encoder-decoder: a Hugging Face directory, or `'hf:org/name[@revision]'` from the local cache or the Hub; options as for
 * `loadTextModel`. Rejects with ModelFormatError, UnsupportedError (a model without an encoder, too), InvalidArgumentError,
 * DeviceUnavailableError, OutOfMemoryError, or AbortError.
 */
export const loadSeq2SeqModel = async (source: string, options: LoadOptions = {}): Promise<Seq2SeqModel> =>
  (await loadKind({ where: 'loadSeq2SeqModel', kind: 'seq2seq' }, source, options)) as Seq2SeqModel;
