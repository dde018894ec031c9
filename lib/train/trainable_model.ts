import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError } from '../errors.js';
import { checkCall } from '../generate/check_call.js';
import { bosTokenIdOf, parseModelConfigDefaults } from '../generate/generation_config.js';
import { directoryOf } from '../generate/model_source.js';
import { openTextModel } from '../generate/open_text_model.js';
import type { TextConfig, TextFamily } from '../models/family.js';
import { textFamilyOf } from '../models/registry.js';
import { checkBaseFields, configReader } from '../weights/config.js';
import { isJsonObject, type JsonObject, readJsonFile } from '../weights/json_file.js';
import type { ParamSource } from '../weights/param_source.js';

/** A model to be trained from the beginning. */
export interface NewModel {
  /** What its config.json says: `model_type` and the fields of that family, as Hugging Face names them. */
  readonly config: JsonObject;
  /** Directory with its tokenizer, which is copied to the trained model. Left out: the model takes and gives ids only. */
  readonly tokenizer?: string | undefined;
}

/** What is trained: what a configuration says, and weights if there are any. */
export interface TrainableModel {
  readonly family: TextFamily;
  readonly config: TextConfig;
  readonly json: JsonObject;
  /** Left out: the weights are drawn at random. */
  readonly params: ParamSource | undefined;
  /** Where the files beside the weights are copied from. */
  readonly directory: string | undefined;
  readonly bosTokenId: number | undefined;
}

/**
 * A model directory (fine-tuning; without weights in it: from the beginning), or a configuration. Rejects with ModelFormatError,
 * UnsupportedError, InvalidArgumentError or AbortError.
 */
export async function openTrainable(
  model: string | NewModel,
  signal: AbortSignal | undefined,
): Promise<TrainableModel> {
  if (typeof model === 'string') {
    const directory = await directoryOf(model, { signal });
    const files = await readdir(directory).catch((): string[] => []);
    if (files.includes('config.json') && !files.some((name) => name.endsWith('.safetensors')))
      return fromConfig(await readJsonFile(join(directory, 'config.json'), { signal }), directory);
    const { family, config, checkpoint, params, bosTokenId } = await openTextModel(directory, { signal });
    return { family, config, json: checkpoint.config, params, directory, bosTokenId };
  }
  if (!isJsonObject(model?.config))
    throw new InvalidArgumentError(
      'train: expected a model directory, or an object with the config of a new model',
    );
  checkCall('train: model', model, { names: ['config', 'tokenizer'], choices: {} });
  const { config, tokenizer } = model;
  if (tokenizer !== undefined && !(await isFile(join(String(tokenizer), 'tokenizer.json'))))
    throw new InvalidArgumentError(
      `train: expected model.tokenizer to be a directory with a tokenizer.json, got ${String(tokenizer)}`,
    );
  return fromConfig(config, tokenizer);
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

function fromConfig(json: JsonObject, directory: string | undefined): TrainableModel {
  const reader = configReader(json, 'config.json');
  const family = textFamilyOf(reader, 'text');
  checkBaseFields(reader);
  const config = family.readConfig(reader);
  const unknown = reader.ignored();
  if (unknown.length > 0)
    throw new InvalidArgumentError(
      `train: config.json: the family ${family.name} does not know ${unknown.join(', ')}; a new model must not depend on it`,
    );
  const bosTokenId = bosTokenIdOf(parseModelConfigDefaults(json), json);
  return { family, config, json, params: undefined, directory, bosTokenId };
}
