import { ModelFormatError, UnsupportedError } from '../errors.js';
import { checkCharsmap } from './check_charsmap.js';
import { checkNormalizers } from './check_normalizers.js';

export interface TokenizerFacts {
  /** Largest id + 1, added tokens included. */
  readonly vocabSize: number;
  readonly addedTokens: readonly AddedToken[];
  /** Whether the decoder joins `<0xE4>`-like tokens into characters. */
  readonly hasByteFallback: boolean;
}

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

type Json = Record<string, unknown>;

/** Ids travel as i32. */
const maxId = 2 ** 31 - 2;
const maxDepth = 64;

/**
 * Checks what the Rust library does not: it answers some malformed files with a panic, which ends the process, and
 * takes some contradictory ones. What it reports as an error itself is left to it.
 */
export function checkTokenizerJson(json: unknown, path: string): TokenizerFacts {
  const file = objectAt(json, path, 'the file');
  const model = objectAt(file.model, path, 'model');
  const modelIds = Array.isArray(model.vocab) ? model.vocab.length : checkVocab(model.vocab, path);
  checkMerges(model, path);
  const addedTokens = checkAddedTokens(file.added_tokens, path);
  for (const part of ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder']) {
    for (const component of componentsOf(file[part], path, part)) checkComponent(component, part, path);
  }
  checkNormalizers(componentsOf(file.normalizer, path, 'normalizer'), path);
  const vocabSize = addedTokens.reduce((size, { id }) => Math.max(size, id + 1), modelIds);
  if (vocabSize === 0) throw malformed(path, 'model.vocab', 'at least one token', 'none');
  const decoders = componentsOf(file.decoder, path, 'decoder');
  return { vocabSize, addedTokens, hasByteFallback: decoders.some(({ type }) => type === 'ByteFallback') };
}

function checkVocab(vocab: unknown, path: string): number {
  const ids = Object.entries(objectAt(vocab, path, 'model.vocab'));
  const tokenOf = new Map<number, string>();
  let size = 0;
  for (const [token, id] of ids) {
    if (!isId(id)) throw malformed(path, `id of ${show(token)}`, `an integer in [0, ${maxId}]`, show(id));
    const other = tokenOf.get(id);
    if (other !== undefined)
      throw malformed(path, `id ${id}`, 'one token', `${show(other)} and ${show(token)}`);
    tokenOf.set(id, token);
    if (id >= size) size = id + 1;
  }
  return size;
}

/** The library cuts the prefix off the right side of each merge by length, unchecked. */
function checkMerges(model: Json, path: string): void {
  const prefix = model.continuing_subword_prefix;
  if (typeof prefix !== 'string' || prefix === '' || !Array.isArray(model.merges)) return;
  if (!/^[\x20-\x7e]*$/.test(prefix)) {
    throw new UnsupportedError(
      `${path}: model.continuing_subword_prefix: expected ASCII, got ${show(prefix)}`,
    );
  }
  for (const merge of model.merges) {
    const right: unknown = Array.isArray(merge) ? merge[1] : String(merge).split(' ')[1];
    if (typeof right === 'string' && right.startsWith(prefix)) continue;
    throw malformed(
      path,
      `merge ${show(merge)}`,
      `a right side that starts with ${show(prefix)}`,
      show(right),
    );
  }
}

function checkAddedTokens(list: unknown, path: string): AddedToken[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) throw malformed(path, 'added_tokens', 'a list', show(list));
  return list.map((entry, index) => {
    const { id, content, special } = objectAt(entry, path, `added_tokens[${index}]`);
    if (!isId(id))
      throw malformed(path, `added_tokens[${index}].id`, `an integer in [0, ${maxId}]`, show(id));
    if (typeof content !== 'string' || content === '') {
      throw malformed(path, `added_tokens[${index}].content`, 'a text', show(content));
    }
    return { id, content, special: special === true };
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
  if ('precompiled_charsmap' in component) checkCharsmap(component.precompiled_charsmap, path);
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

function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maxId;
}

function objectAt(value: unknown, path: string, where: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw malformed(path, where, 'an object', show(value));
}

function malformed(path: string, where: string, expected: string, got: string): ModelFormatError {
  return new ModelFormatError(`${path}: ${where}: expected ${expected}, got ${got}`);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
