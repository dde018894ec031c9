import { UnsupportedError } from '../errors.js';
import { checkCharsmap } from './check_charsmap.js';
import { checkModel, idRange, isId } from './check_model.js';
import { checkPatterns, type TextLimits } from './check_patterns.js';
import { type Json, malformed, objectAt, show } from './malformed.js';

export interface TokenizerFacts {
  /** Largest id + 1, added tokens included. */
  readonly vocabSize: number;
  readonly addedTokens: readonly AddedToken[];
  /** Whether the decoder joins `<0xE4>`-like tokens into characters. */
  readonly hasByteFallback: boolean;
  readonly limits: TextLimits;
}

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** It is looked for in the text that the normalizer leaves, in the form that the normalizer gives it. */
  readonly normalized: boolean;
}

/** Of components inside one another. */
const maxDepth = 64;
/** Of a template: each copies all ids of the text, or adds some. */
const maxPieces = 64;

const partNames = ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder'] as const;

/**
 * Checks what the Rust library does not: it answers some malformed files with a panic, which ends the process, and
 * takes some contradictory ones. What it reports as an error itself is left to it.
 */
export function checkTokenizerJson(json: unknown, path: string): TokenizerFacts {
  const file = objectAt(json, path, 'the file');
  const modelIds = checkModel(objectAt(file.model, path, 'model'), path);
  const addedTokens = checkAddedTokens(file.added_tokens, path);
  const parts = Object.fromEntries(
    partNames.map((part) => [part, componentsOf(file[part], path, part)]),
  ) as Record<(typeof partNames)[number], Json[]>;
  for (const part of partNames) for (const component of parts[part]) checkComponent(component, part, path);
  const vocabSize = addedTokens.reduce((size, { id }) => Math.max(size, id + 1), modelIds);
  if (vocabSize === 0) throw malformed(path, 'model.vocab', 'at least one token', 'none');
  return {
    vocabSize,
    addedTokens,
    hasByteFallback: parts.decoder.some(({ type }) => type === 'ByteFallback'),
    limits: checkPatterns(parts, path),
  };
}

function checkAddedTokens(list: unknown, path: string): AddedToken[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) throw malformed(path, 'added_tokens', 'a list', show(list));
  return list.map((entry, index) => {
    const { id, content, special, normalized } = objectAt(entry, path, `added_tokens[${index}]`);
    if (!isId(id)) throw malformed(path, `added_tokens[${index}].id`, idRange, show(id));
    if (typeof content !== 'string' || content === '') {
      throw malformed(path, `added_tokens[${index}].content`, 'a text', show(content));
    }
    return { id, content, special: special === true, normalized: normalized === true };
  });
}

/** The component and, of a `Sequence`, its parts at any depth. */
function componentsOf(value: unknown, path: string, where: string, depth = 0): Json[] {
  if (value === undefined || value === null) return [];
  if (depth > maxDepth) throw malformed(path, where, `at most ${maxDepth} levels of Sequence`, 'more');
  const component = objectAt(value, path, where);
  const parts =
    component.normalizers ?? component.pretokenizers ?? component.processors ?? component.decoders;
  if (!Array.isArray(parts)) return [component];
  return [component, ...parts.flatMap((part) => componentsOf(part, path, where, depth + 1))];
}

/** Goes by the fields, as the library does when it does not know the `type`. */
function checkComponent(component: Json, where: string, path: string): void {
  const { length, stop } = component;
  if (component.type === 'Precompiled' || 'precompiled_charsmap' in component)
    checkCharsmap(component.precompiled_charsmap, path);
  if ('single' in component) checkTemplate(component, path);
  if (where === 'pre_tokenizer' && length !== undefined && !(Number(length) >= 1)) {
    throw malformed(path, `${where}: length`, 'at least 1', show(length));
  }
  if (where === 'decoder' && stop !== undefined && stop !== 0) {
    throw new UnsupportedError(`${path}: decoder: expected Strip with stop 0, got ${show(stop)}`);
  }
}

function checkTemplate(component: Json, path: string): void {
  const known = objectAt(component.special_tokens ?? {}, path, 'post_processor.special_tokens');
  for (const [name, sequences] of [
    ['single', ['A']],
    ['pair', ['A', 'B']],
  ] as const) {
    const pieces = component[name] ?? [];
    if (!Array.isArray(pieces)) throw malformed(path, `post_processor.${name}`, 'a list', show(pieces));
    if (pieces.length > maxPieces) {
      throw new UnsupportedError(
        `${path}: post_processor.${name}: expected at most ${maxPieces} pieces, got ${pieces.length}`,
      );
    }
    for (const piece of pieces) {
      const { SpecialToken: special, Sequence: sequence } = objectAt(piece, path, `post_processor.${name}`);
      const token = (special as Json | undefined)?.id;
      if (special !== undefined && !(typeof token === 'string' && Object.hasOwn(known, token))) {
        throw malformed(path, `post_processor.${name}`, 'tokens of special_tokens', show(token));
      }
      const letter = (sequence as Json | undefined)?.id;
      if (sequence !== undefined && !sequences.some((allowed) => allowed === letter)) {
        throw malformed(path, `post_processor.${name}`, `sequence ${sequences.join(' or ')}`, show(letter));
      }
    }
  }
}
