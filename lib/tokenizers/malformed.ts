import { ModelFormatError } from '../errors.js';

export type Json = Readonly<Record<string, unknown>>;

/** The error for a place in a tokenizer's file. */
export function malformed(path: string, where: string, expected: string, got: string): ModelFormatError {
  return new ModelFormatError(`${path}: ${where}: expected ${expected}, got ${got}`);
}

export function objectAt(value: unknown, path: string, where: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw malformed(path, where, 'an object', show(value));
}

/** A value as it stands in a message. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
