import type { TokenData } from '../data/token_data.js';
import { InvalidArgumentError } from '../errors.js';
import type { TrainSettings } from './options.js';
import { type PackedBatch, packRows, type TokenRow, windowLength } from './packed_batch.js';
import type { TrainableModel } from './trainable_model.js';

/** Longest row where nobody names one. */
const longestContext = 1024;

/** Tokens of a row. Throws InvalidArgumentError for more than the model has positions for. */
export function contextLengthOf(
  { config }: TrainableModel,
  { contextLength }: Pick<TrainSettings, 'contextLength'>,
): number {
  const length = contextLength ?? Math.min(config.contextLength, longestContext);
  if (length > config.contextLength)
    throw new InvalidArgumentError(
      `train: expected contextLength of at most the model's ${config.contextLength}, got ${length}`,
    );
  return length;
}

/** Rows of a batch, with the documents that begin in each. */
export function rowsOf(ids: Int32Array, starts: readonly Int32Array[]): TokenRow[] {
  const length = ids.length / starts.length;
  return starts.map((begins, row) => ({
    ids: ids.subarray(row * length, (row + 1) * length),
    starts: begins,
  }));
}

/** What a model is evaluated on while it is trained. */
export interface Validation {
  /** The weights of all labels add up to 1: the sum of the batches' losses is the mean. */
  readonly batches: readonly PackedBatch[];
  /** UTF-8 bytes of text that a token of the split stands for. */
  readonly bytesPerToken: number;
}

/** The first rows of the validation split. Throws InvalidArgumentError for one that is shorter than a row. */
export async function readValidation(
  model: TrainableModel,
  data: TokenData,
  settings: TrainSettings,
): Promise<Validation> {
  const contextLength = contextLengthOf(model, settings);
  const { bosTokenId } = model;
  const window = windowLength(contextLength, bosTokenId);
  if (data.tokens < window)
    throw new InvalidArgumentError(
      `train: ${data.name}: expected ${window} tokens or more for a row, got ${data.tokens}; prepare the data with a larger validation share, or give a smaller contextLength or evaluateEvery 0`,
    );
  const { windowsPerEpoch, batch } = data.batches({
    contextLength: window - 1,
    batchSize: 1,
    shuffle: false,
  });
  const rows = Math.max(1, Math.min(windowsPerEpoch, Math.floor(settings.evaluationTokens / contextLength)));
  const batches: PackedBatch[] = [];
  for (let first = 0; first < rows; first += settings.batchSize) {
    const parts: TokenRow[] = [];
    for (let row = first; row < Math.min(first + settings.batchSize, rows); row++) {
      const { ids, documentStarts } = await batch(row, { signal: settings.signal });
      parts.push(...rowsOf(ids, documentStarts));
    }
    batches.push(packRows(parts, { bosTokenId, weight: 1 / (rows * contextLength) }));
  }
  return { batches, bytesPerToken: data.bytes / data.tokens };
}
