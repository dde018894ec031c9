import { checkpointOf } from './bases.js';
import { jsonText, put } from './json_text.js';
import type { Mutant } from './mutant.js';
import { type TokenizerName, tokenizers } from './tokenizers.js';

const file = 'tokenizer.json';
export type Says = readonly (string | RegExp)[];

/** A checkpoint with `content` as its tokenizer.json; `says`: it must fail, and the message names these. */
export function mutant(
  harm: string,
  base: TokenizerName,
  what: string,
  content: unknown,
  says?: Says,
): Mutant {
  const text = typeof content === 'string' ? content : jsonText(content);
  return {
    group: `tokenizer.json: ${harm}`,
    what: `${base}: ${what}`,
    files: () => ({ ...checkpointOf('gpt2'), [file]: text }),
    outcome: says ? 'error' : 'either',
    file,
    says: says && [file, ...says],
  };
}

/** One of our tokenizers with another value at `path`. */
export const change = (
  harm: string,
  base: TokenizerName,
  path: string | string[],
  value: unknown,
  says?: Says,
): Mutant =>
  mutant(
    harm,
    base,
    `${[path].flat().join('.')} = ${jsonText(value)?.slice(0, 50) ?? 'absent'}`,
    put(tokenizers[base], path, value),
    says,
  );
