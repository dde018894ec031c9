/** What a failed call can be told by: stable, so that programs may switch on it. */
export type ErrorCode =
  | 'MODEL_FORMAT'
  | 'INVALID_ARGUMENT'
  | 'OUT_OF_MEMORY'
  | 'UNSUPPORTED'
  | 'DEVICE_UNAVAILABLE';

/** Base of every error that triga throws on purpose. `message` says where, what was expected, what came, and the remedy. */
export class TrigaError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A checkpoint, tokenizer or configuration file is malformed or contradicts itself. */
export class ModelFormatError extends TrigaError {
  constructor(message: string, options?: ErrorOptions) {
    super('MODEL_FORMAT', message, options);
  }
}

/** A value given by the caller is of the wrong kind, out of range, or contradicts another. */
export class InvalidArgumentError extends TrigaError {
  constructor(message: string, options?: ErrorOptions) {
    super('INVALID_ARGUMENT', message, options);
  }
}

/** Memory, or the KV pool, cannot hold what was asked; the message names the limit. */
export class OutOfMemoryError extends TrigaError {
  constructor(message: string, options?: ErrorOptions) {
    super('OUT_OF_MEMORY', message, options);
  }
}

/** A known feature that this version, device or model does not have. */
export class UnsupportedError extends TrigaError {
  constructor(message: string, options?: ErrorOptions) {
    super('UNSUPPORTED', message, options);
  }
}

/** The device asked for cannot run here; the message says why and what would help. */
export class DeviceUnavailableError extends TrigaError {
  constructor(message: string, options?: ErrorOptions) {
    super('DEVICE_UNAVAILABLE', message, options);
  }
}

/** The error that a cancelled call rejects with: its `name` is `'AbortError'`, its `cause` the signal's reason. */
export function abortError(reason?: unknown): Error {
  const error = new Error('The operation was aborted', reason === undefined ? {} : { cause: reason });
  error.name = 'AbortError';
  return error;
}

/** Throws {@link abortError} if `signal` has been aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal.reason);
}
