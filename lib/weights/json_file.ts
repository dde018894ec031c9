import { ModelFormatError, throwIfAborted } from '../errors.js';
import { readFully, withFile } from './file_io.js';

/** A JSON object as parsed: values are still to be checked. */
export type JsonObject = Readonly<Record<string, unknown>>;

export interface JsonLimits {
  /** Arrays and objects inside one another. Default 64. */
  readonly maxDepth?: number;
  /** Values, counted by the punctuation that separates them. Default 2²⁴: a parsed value takes about 50 bytes. */
  readonly maxValues?: number;
}

export interface ReadJsonOptions extends JsonLimits {
  /** Largest file that is read, in bytes. Default 16 MiB. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal | undefined;
}

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A value as an error message shows it: JSON, cut to 80 characters. */
export function show(value: unknown): string {
  let text: string;
  if (typeof value === 'number') text = String(value);
  else if (typeof value === 'string') text = JSON.stringify(value.slice(0, 100));
  else if (Array.isArray(value))
    text = `[${value.slice(0, 40).map(show).join(', ')}${value.length > 40 ? ', …' : ''}]`;
  else if (isJsonObject(value)) text = `an object with ${Object.keys(value).length} keys`;
  else text = String(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

/**
 * Decodes and parses UTF-8 JSON whose root is an object. Stricter than `JSON.parse`, which drops all but the last of
 * equal keys in silence, and whose memory a hostile file could exhaust. `where` begins every message.
 * Errors: ModelFormatError.
 */
export function parseJsonObject(bytes: Uint8Array, where: string, limits: JsonLimits = {}): JsonObject {
  return parseJsonText(decodeUtf8(bytes, where), where, limits);
}

/** As {@link parseJsonObject}, of a text. */
export function parseJsonText(text: string, where: string, limits: JsonLimits = {}): JsonObject {
  const { problem, duplicate } = scan(text, limits.maxDepth ?? 64, limits.maxValues ?? 2 ** 24);
  if (problem) throw new ModelFormatError(`${where}: ${problem}`);
  const value = parse(text, where);
  if (!isJsonObject(value))
    throw new ModelFormatError(`${where}: expected a JSON object, got ${show(value)}`);
  if (duplicate !== undefined) {
    throw new ModelFormatError(
      `${where}: expected every key once, got ${show(duplicate)} twice in one object`,
    );
  }
  return value;
}

/**
 * Reads a JSON file whose root is an object.
 * Errors: ModelFormatError if it is too large, not UTF-8 or not such JSON; InvalidArgumentError if it does not exist.
 */
export function readJsonFile(path: string, options: ReadJsonOptions = {}): Promise<JsonObject> {
  const maxBytes = options.maxBytes ?? 16 * 2 ** 20;
  throwIfAborted(options.signal);
  return withFile(path, async (file, size) => {
    if (size > maxBytes) {
      throw new ModelFormatError(`${path}: expected at most ${maxBytes} bytes of JSON, got ${size}`);
    }
    const bytes = new Uint8Array(size);
    await readFully(file, bytes, 0, path);
    throwIfAborted(options.signal);
    return parseJsonObject(bytes, path, options);
  });
}

function decodeUtf8(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new ModelFormatError(`${where}: expected UTF-8 text, got other bytes`, { cause: error });
  }
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ModelFormatError(`${where}: expected JSON, got text that is none: ${reason}`, { cause: error });
  }
}

interface Scan {
  /** Why the text must not be parsed. */
  readonly problem?: string;
  /** A key that one object has twice; meaningful only if the text turns out to be JSON. */
  readonly duplicate?: string;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

/** Measures a text before it is parsed and collects each object's keys. Takes any text: grammar is `JSON.parse`'s. */
function scan(text: string, maxDepth: number, maxValues: number): Scan {
  // The keys seen of each open container; an array never gets any.
  const open: (Set<string> | undefined)[] = [];
  let values = 0;
  let duplicate: string | undefined;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) {
      const end = stringEnd(text, i);
      if (duplicate === undefined && open.length > 0 && isKey(text, end)) {
        const keys = open[open.length - 1] ?? new Set<string>();
        open[open.length - 1] = keys;
        const key = keyText(text.slice(i, end));
        if (keys.has(key)) duplicate = key;
        keys.add(key);
      }
      i = end - 1;
    } else if (c === 0x5b || c === 0x7b) {
      if (open.push(undefined) > maxDepth)
        return { problem: `expected at most ${maxDepth} levels of nesting, got more` };
      values++;
    } else if (c === 0x5d || c === 0x7d) {
      open.pop();
    } else if (c === COMMA) {
      values++;
    }
    if (values > maxValues) return { problem: `expected at most ${maxValues} JSON values, got more` };
  }
  return duplicate === undefined ? {} : { duplicate };
}

/** Index after the closing quote of the string that starts at `start`; the text's end if there is none. */
function stringEnd(text: string, start: number): number {
  let from = start + 1;
  for (;;) {
    const quote = text.indexOf('"', from);
    if (quote < 0) return text.length;
    let slashes = 0;
    while (quote - 1 - slashes >= from && text.charCodeAt(quote - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return quote + 1;
    from = quote + 1;
  }
}

function isKey(text: string, after: number): boolean {
  let i = after;
  let c = text.charCodeAt(i);
  while (c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09) c = text.charCodeAt(++i);
  return c === COLON;
}

/** The key that a quoted literal stands for: `"\u0061"` and `"a"` are equal. A malformed literal stands for itself. */
function keyText(literal: string): string {
  if (!literal.includes('\\')) return literal.slice(1, -1);
  try {
    return String(JSON.parse(literal));
  } catch {
    return literal;
  }
}
