import { InvalidArgumentError, ModelFormatError, UnsupportedError } from '../errors.js';
import type { WorkerFailure } from './messages.js';

/** A typed error as it crosses from a worker that works with a tokenizer; any other is taken for a malformed tokenizer. */
export function failureOf(error: unknown): WorkerFailure {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof InvalidArgumentError) return { type: 'argument', message };
  if (error instanceof UnsupportedError) return { type: 'unsupported', message };
  return {
    type: 'format',
    message: error instanceof ModelFormatError ? message : `tokenizer.json: ${message}`,
  };
}

/** The error that it was. */
export function errorOf({ type, message }: WorkerFailure): Error {
  if (type === 'argument') return new InvalidArgumentError(message);
  return type === 'unsupported' ? new UnsupportedError(message) : new ModelFormatError(message);
}
