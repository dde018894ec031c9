import type { TextConfig, TextFamily } from '../models/family.js';
import { type ModelKind, textFamilyOf } from '../models/registry.js';
import { type Checkpoint, openCheckpoint } from '../weights/checkpoint.js';
import { checkBaseFields, configReader } from '../weights/config.js';
import { aliasedParams, type ParamSource } from '../weights/param_source.js';
import { readQuantization, withScales } from '../weights/q8_checkpoint.js';
import {
  bosTokenIdOf,
  decoderStartIdOf,
  type FileDefaults,
  parseGenerationConfig,
  parseModelConfigDefaults,
} from './generation_config.js';

/** What the files of a text model's directory say, before any weight is read. */
export interface OpenedModel {
  readonly checkpoint: Checkpoint;
  readonly family: TextFamily;
  readonly config: TextConfig;
  readonly params: ParamSource;
  readonly defaults: FileDefaults;
  /** The id that begins a text, if the model has one. */
  readonly bosTokenId: number | undefined;
  /** Of an encoder-decoder: the id that the decoder begins with. */
  readonly startTokenId: number | undefined;
  /** Fields of both configurations that nobody reads and that may matter. */
  readonly ignoredFields: readonly string[];
}

interface OpenOptions {
  readonly signal?: AbortSignal | undefined;
  /** Left out: either kind. */
  readonly kind?: ModelKind | undefined;
}

/** As {@link openModel}, of a model that continues text. */
export const openTextModel = (
  directory: string,
  options: Pick<OpenOptions, 'signal'> = {},
): Promise<OpenedModel> => openModel(directory, { ...options, kind: 'text' });

/** Reads configurations and the weights' headers. Rejects with ModelFormatError, UnsupportedError, InvalidArgumentError, AbortError. */
export async function openModel(directory: string, { signal, kind }: OpenOptions = {}): Promise<OpenedModel> {
  const checkpoint = await openCheckpoint(directory, { signal });
  const reader = configReader(checkpoint.config, 'config.json');
  const quantized = readQuantization(reader);
  const family = textFamilyOf(reader, kind);
  checkBaseFields(reader, {
    ...(quantized ? { quantization_config: checkpoint.config.quantization_config } : {}),
    ...(family.encode ? { is_encoder_decoder: true } : {}),
  });
  const config = family.readConfig(reader);
  const whole = { ...family.generationDefaults, ...checkpoint.config };
  const defaults = checkpoint.generationConfig
    ? parseGenerationConfig(checkpoint.generationConfig)
    : parseModelConfigDefaults(whole);
  return {
    checkpoint,
    family,
    config,
    params: aliasedParams(quantized ? withScales(checkpoint.tensors) : checkpoint.tensors, family.layout),
    defaults,
    bosTokenId: bosTokenIdOf(defaults, checkpoint.config),
    startTokenId: family.encode && decoderStartIdOf(defaults, whole, config.vocabSize),
    ignoredFields: [...reader.ignored(), ...defaults.ignored.map((key) => `generation_config.${key}`)],
  };
}
