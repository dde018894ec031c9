import { tokenizerSha256 } from '../data/data_tokenizer.js';
import { hasSplit, openTokenData } from '../data/open_token_data.js';
import type { TokenData } from '../data/token_data.js';
import { InvalidArgumentError, throwIfAborted } from '../errors.js';
import { isSameDirectory, makeDirectory } from '../weights/model_directory.js';
import { removeTemporaries } from '../weights/replace_file.js';
import { type TrainOptions, type TrainResult, trainSettings } from './options.js';
import { Run } from './run.js';
import { type NewModel, openTrainable, type TrainableModel } from './trainable_model.js';

/**
 * Trains a causal language model on prepared data (see prepareData): a new one (a configuration, or a directory without weights), or one
 * that has weights (fine-tuning). What it writes is an ordinary model directory, f32. `model` is a directory or `'hf:org/name'`, `data`
 * what prepareData has written with the model's own tokenizer. A run that was ended goes on from its newest checkpoint when it is called
 * again, to the same bits on the same instruction set.
 *
 * Rejects with ModelFormatError (a damaged model, dataset or checkpoint), UnsupportedError (a model that cannot be trained),
 * InvalidArgumentError (options; data that does not fit; a checkpoint of another run; a loss that is no longer finite: the last
 * checkpoint stays), DeviceUnavailableError without the addon, OutOfMemoryError (memory before the first step, or a full disk), or
 * AbortError after a checkpoint of the last whole step. What `onEvent` throws ends the run in the same way as an abort.
 */
export async function train(
  model: string | NewModel,
  data: string,
  options: TrainOptions,
): Promise<TrainResult> {
  const settings = trainSettings(options);
  const { output, signal } = settings;
  throwIfAborted(signal);
  const trainable = await openTrainable(model, signal);
  const { vocabSize } = trainable.config;
  // Node 20 does not know `await using`, and what users import is not compiled for it.
  const training = await openTokenData(data, { vocabSize });
  try {
    await checkTokenizer(training, trainable);
    const validation =
      settings.evaluateEvery > 0 && (await hasSplit(data, 'validation'))
        ? await openTokenData(data, { split: 'validation', vocabSize })
        : undefined;
    try {
      await makeOutput(output, trainable);
      const run = await Run.open(trainable, training, validation, settings);
      try {
        return await run.finish();
      } finally {
        await run.dispose();
      }
    } finally {
      await validation?.close();
    }
  } finally {
    await training.close();
  }
}

/** Makes the directory to write to, and removes what a killed run has left half written. */
async function makeOutput(output: string, { directory }: TrainableModel): Promise<void> {
  await makeDirectory(output);
  if (directory !== undefined && (await isSameDirectory(directory, output)))
    throw new InvalidArgumentError(
      `train: expected output to be another directory than the model's, got ${output} for both`,
    );
  await removeTemporaries(output);
}

/** Data must come from the model's own tokenizer: ids of another mean other text. */
async function checkTokenizer(data: TokenData, { directory }: TrainableModel): Promise<void> {
  // A directory without a tokenizer takes ids, and cannot be compared.
  const own = directory === undefined ? undefined : await tokenizerSha256(directory).catch(() => undefined);
  if (own !== undefined && own !== data.tokenizerSha256)
    throw new InvalidArgumentError(
      `train: ${data.name}: expected tokens of the model's own tokenizer (${directory}, SHA-256 ${own.slice(0, 12)}…), got those of another (${data.tokenizerSha256.slice(0, 12)}…); prepare the data with it`,
    );
}
