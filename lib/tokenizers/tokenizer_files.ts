import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ModelFormatError } from '../errors.js';
import type { TokenizerManifest } from './messages.js';

type Settings = Pick<TokenizerManifest, 'chatTemplates' | 'specialTokens'>;

/** UTF-8 text of a file, or undefined if there is none. Synchronous: for a worker. */
export function readText(path: string): string | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ModelFormatError(`${path}: cannot be read: ${(cause as Error).message}`, { cause });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ModelFormatError(`${path}: expected UTF-8 text, got other bytes`, { cause });
  }
}

/**
 * Chat templates and special tokens beside a `tokenizer.json`. As in `transformers`, `chat_template.jinja` wins over
 * `chat_template.json`, and both over `tokenizer_config.json`.
 */
export function readTokenizerSettings(directory: string): Settings {
  const config = readObject(join(directory, 'tokenizer_config.json'));
  const beside = readObject(join(directory, 'chat_template.json'));
  const jinja = readText(join(directory, 'chat_template.jinja'));
  const path = join(
    directory,
    beside.chat_template === undefined ? 'tokenizer_config.json' : 'chat_template.json',
  );
  const chatTemplates = {
    ...templatesOf(beside.chat_template ?? config.chat_template, path),
    ...(jinja === undefined ? {} : { default: jinja }),
  };
  const map = readObject(join(directory, 'special_tokens_map.json'));
  return { chatTemplates, specialTokens: { ...specialTokensOf(map), ...specialTokensOf(config) } };
}

function readObject(path: string): Record<string, unknown> {
  const text = readText(path);
  if (text === undefined) return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ModelFormatError(`${path}: expected JSON, got ${(cause as Error).message}`, { cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new ModelFormatError(`${path}: expected an object, got ${text.slice(0, 40)}`);
}

function templatesOf(value: unknown, path: string): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (typeof value === 'string') return { default: value };
  const named = Array.isArray(value) ? value : [value];
  return Object.fromEntries(
    named.map((entry: { name?: unknown; template?: unknown } | null) => {
      if (typeof entry?.name === 'string' && typeof entry.template === 'string')
        return [entry.name, entry.template];
      throw new ModelFormatError(
        `${path}: chat_template: expected a text or a list of { name, template }, got ${JSON.stringify(entry)?.slice(0, 60)}`,
      );
    }),
  );
}

function specialTokensOf(config: Record<string, unknown>): Record<string, string | string[]> {
  const tokens: Record<string, string | string[]> = {};
  for (const [key, value] of Object.entries(config)) {
    if (key === 'additional_special_tokens' && Array.isArray(value)) {
      tokens[key] = value.map(contentOf).filter((content) => content !== undefined);
    } else if (/^[a-z]+_token$/.test(key)) {
      const content = contentOf(value);
      if (content !== undefined) tokens[key] = content;
    }
  }
  return tokens;
}

function contentOf(value: unknown): string | undefined {
  const content =
    typeof value === 'object' && value !== null ? (value as { content?: unknown }).content : value;
  return typeof content === 'string' ? content : undefined;
}
