import { UnsupportedError } from '../errors.js';
import type { ConfigReader } from '../weights/config.js';
import { autoencoderTiny } from './autoencoder_tiny.js';
import { blenderbot } from './blenderbot.js';
import type { TextConfig, TextFamily } from './family.js';
import { gpt2 } from './gpt2.js';
import type { ImageConfig, ImageFamily } from './image_family.js';
import { llama } from './llama.js';
import { mistral } from './mistral.js';
import { qwen2 } from './qwen2.js';
import { qwen3 } from './qwen3.js';

/** What a model takes: a text that it continues, or a source for its encoder. */
export type ModelKind = 'text' | 'seq2seq';

/** Models that we know. */
const families: readonly TextFamily[] = [
  blenderbot,
  gpt2,
  llama,
  mistral,
  qwen2,
  qwen3,
] as unknown as readonly TextFamily<TextConfig>[];

/** The functions that load and use each kind. */
const remedies: Readonly<Record<ModelKind, string>> = {
  text: 'it continues text: loadTextModel() takes it',
  seq2seq: 'it has an encoder: loadSeq2SeqModel(), triga generate and triga inspect take it',
};

const kindOf = (family: TextFamily): ModelKind => (family.encode ? 'seq2seq' : 'text');

/** The family that config.json's `model_type` names. Throws UnsupportedError for one that we do not have, or that is of another kind. */
export function textFamilyOf(config: ConfigReader, kind?: ModelKind): TextFamily {
  if (!config.has('model_type') && config.has('_class_name'))
    throw new UnsupportedError(
      `config.json: expected the model_type of a text model, got _class_name "${config.str('_class_name')}"; loadImageAutoencoder() loads image autoencoders`,
    );
  const type = config.str('model_type');
  const family = families.find((f) => f.modelTypes.includes(type));
  if (!family) {
    const known = families.filter((f) => kind === undefined || kindOf(f) === kind);
    throw new UnsupportedError(
      `config.json: model_type "${type}" is not supported; known: ${known.flatMap((f) => f.modelTypes).join(', ')}`,
    );
  }
  const got = kindOf(family);
  if (kind !== undefined && got !== kind)
    throw new UnsupportedError(`config.json: model_type "${type}" is not supported here; ${remedies[got]}`);
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
