import type { TextConfig, TextFamily } from '../models/family.js';
import { textFamilyOf } from '../models/registry.js';
import { type Checkpoint, openCheckpoint } from '../weights/checkpoint.js';
import { checkBaseFields, configReader } from '../weights/config.js';
import { aliasedParams, type ParamSource } from '../weights/param_source.js';
import { readQuantization, withScales } from '../weights/q8_checkpoint.js';
import {
  bosTokenIdOf,
  type FileDefaults,
  parseGenerationConfig,
  parseModelConfigDefaults,
} from './generation_config.js';

/** What the files of a causal model's directory say, before any weight is read. */
export interface OpenedTextModel {
  readonly checkpoint: Checkpoint;
  readonly family: TextFamily;
  readonly config: TextConfig;
  readonly params: ParamSource;
  readonly defaults: FileDefaults;
  /** The id that begins a text, if the model has one. */
  readonly bosTokenId: number | undefined;
  /** Fields of both configurations that nobody reads and that may matter. */
  readonly ignoredFields: readonly string[];
}

/** Reads configurations and the weights' headers. Rejects with ModelFormatError, UnsupportedError, InvalidArgumentError, AbortError. */
export async function openTextModel(
  directory: string,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<OpenedTextModel> {
  const checkpoint = await openCheckpoint(directory, options);
  const reader = configReader(checkpoint.config, 'config.json');
  const quantized = readQuantization(reader);
  checkBaseFields(reader, quantized ? { quantization_config: checkpoint.config.quantization_config } : {});
  const family = textFamilyOf(reader);
  const config = family.readConfig(reader);
  const defaults = checkpoint.generationConfig
    ? parseGenerationConfig(checkpoint.generationConfig)
    : parseModelConfigDefaults(checkpoint.config);
  return {
    checkpoint,
    family,
    config,
    params: aliasedParams(quantized ? withScales(checkpoint.tensors) : checkpoint.tensors, family.layout),
    defaults,
    bosTokenId: bosTokenIdOf(defaults, checkpoint.config),
    ignoredFields: [...reader.ignored(), ...defaults.ignored.map((key) => `generation_config.${key}`)],
  };
}
