import { UnsupportedError } from '../errors.js';
import type { ConfigReader } from '../weights/config.js';
import type { TextConfig, TextFamily } from './family.js';
import { gpt2 } from './gpt2.js';
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
  const type = config.str('model_type');
  const family = textFamilies.find((f) => f.modelTypes.includes(type));
  if (!family) {
    throw new UnsupportedError(
      `config.json: model_type "${type}" is not supported; known: ${textFamilies.flatMap((f) => f.modelTypes).join(', ')}`,
    );
  }
  return family;
}
