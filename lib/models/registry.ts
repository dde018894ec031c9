import { UnsupportedError } from '../errors.js';
import type { ConfigReader } from '../weights/config.js';
import { autoencoderTiny } from './autoencoder_tiny.js';
import type { TextConfig, TextFamily } from './family.js';
import { gpt2 } from './gpt2.js';
import type { ImageConfig, ImageFamily } from './image_family.js';
import { llama } from './llama.js';
import { mistral } from './mistral.js';
import { qwen2 } from './qwen2.js';
import { qwen3 } from './qwen3.js';

/** Causal text models that we know. */
const textFamilies: readonly TextFamily[] = [
  gpt2,
  llama,
  mistral,
  qwen2,
  qwen3,
] as unknown as readonly TextFamily<TextConfig>[];

/** The family that config.json's `model_type` names. Throws UnsupportedError for one that we do not have. */
export function textFamilyOf(config: ConfigReader): TextFamily {
  if (!config.has('model_type') && config.has('_class_name'))
    throw new UnsupportedError(
      `config.json: expected the model_type of a text model, got _class_name "${config.str('_class_name')}"; loadImageAutoencoder() loads image autoencoders`,
    );
  const type = config.str('model_type');
  const family = textFamilies.find((f) => f.modelTypes.includes(type));
  if (!family) {
    throw new UnsupportedError(
      `config.json: model_type "${type}" is not supported; known: ${textFamilies.flatMap((f) => f.modelTypes).join(', ')}`,
    );
  }
  return family;
}

/** Image autoencoders that we know. */
const imageFamilies: readonly ImageFamily[] = [
  autoencoderTiny,
] as unknown as readonly ImageFamily<ImageConfig>[];

/** The family that config.json's `_class_name` names. Throws UnsupportedError for one that we do not have. */
export function imageFamilyOf(config: ConfigReader): ImageFamily {
  const known = imageFamilies.flatMap((f) => f.classNames).join(', ');
  if (!config.has('_class_name') && config.has('model_type'))
    throw new UnsupportedError(
      `config.json: expected the _class_name of an image autoencoder (${known}), got model_type "${config.str('model_type')}"; loadTextModel() loads text models`,
    );
  const name = config.str('_class_name');
  const family = imageFamilies.find((f) => f.classNames.includes(name));
  if (!family)
    throw new UnsupportedError(`config.json: _class_name "${name}" is not supported; known: ${known}`);
  return family;
}
