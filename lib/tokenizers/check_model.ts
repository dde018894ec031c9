import { type ModelFormatError, UnsupportedError } from '../errors.js';
import { type Json, malformed, objectAt, show } from './malformed.js';

/** Ids travel as i32. */
const maxId = 2 ** 31 - 2;
/** Longer words take the time of their length squared. */
const maxWordLength = 10_000;

export const idRange = `an integer in [0, ${maxId}]`;

export function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maxId;
}

/** Checks vocabulary and merges of a tokenizer's `model`; returns the largest id + 1. */
export function checkModel(model: Json, path: string): number {
  const { vocab, max_input_chars_per_word: longest } = model;
  if (typeof longest === 'number' && longest > maxWordLength) {
    throw new UnsupportedError(
      `${path}: model.max_input_chars_per_word: expected at most ${maxWordLength}, got ${longest}`,
    );
  }
  if (model.type === 'Unigram' || (model.type === undefined && Array.isArray(vocab)))
    return checkPieces(vocab, path);
  const size = checkVocab(objectAt(vocab, path, 'model.vocab'), path);
  if (model.type === 'BPE' || model.merges !== undefined) checkMerges(model, vocab as Json, path);
  return size;
}

function checkPieces(vocab: unknown, path: string): number {
  if (!Array.isArray(vocab)) throw malformed(path, 'model.vocab', 'a list', show(vocab));
  const wrong = vocab.findIndex((piece: unknown) => {
    const [text, score] = Array.isArray(piece) && piece.length === 2 ? (piece as unknown[]) : [];
    return typeof text !== 'string' || !Number.isFinite(score);
  });
  if (wrong < 0) return vocab.length;
  throw malformed(path, `model.vocab[${wrong}]`, 'a text and a finite score', show(vocab[wrong]));
}

function checkVocab(vocab: Json, path: string): number {
  const tokenOf = new Map<number, string>();
  let size = 0;
  for (const [token, id] of Object.entries(vocab)) {
    if (!isId(id)) throw malformed(path, `model.vocab: id of ${show(token)}`, idRange, show(id));
    const other = tokenOf.get(id);
    if (other !== undefined)
      throw malformed(path, `model.vocab: id ${id}`, 'one token', `${show(other)} and ${show(token)}`);
    tokenOf.set(id, token);
    if (id >= size) size = id + 1;
  }
  return size;
}

/**
 * The library joins the two sides of each merge in a buffer as long as the longest token, and cuts the prefix off the right one by
 * its length, both unchecked. That the vocabulary has them it finds out itself.
 */
function checkMerges({ merges, continuing_subword_prefix }: Json, vocab: Json, path: string): void {
  if (!Array.isArray(merges)) throw malformed(path, 'model.merges', 'a list', show(merges));
  const prefix = typeof continuing_subword_prefix === 'string' ? continuing_subword_prefix : '';
  const longest = Object.keys(vocab).reduce((most, token) => Math.max(most, Buffer.byteLength(token)), 0);
  for (const merge of merges as unknown[]) {
    if (typeof merge === 'string' && merge.startsWith('#version')) continue;
    const sides: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
    const [left, right] = Array.isArray(sides) && sides.length === 2 ? (sides as unknown[]) : [];
    const fault = (expected: string): ModelFormatError =>
      malformed(path, 'model.merges', expected, show(merge));
    if (typeof left !== 'string' || typeof right !== 'string') throw fault('two tokens a merge');
    if (!right.startsWith(prefix)) throw fault(`a right side that starts with ${show(prefix)}`);
    // A character takes three bytes at most for each unit of its length.
    if (3 * (left.length + right.length) <= longest) continue;
    const joined = Buffer.byteLength(left) + Buffer.byteLength(right) - Buffer.byteLength(prefix);
    if (joined > longest) throw fault(`merges into tokens of at most ${longest} bytes, as the longest has`);
  }
}
