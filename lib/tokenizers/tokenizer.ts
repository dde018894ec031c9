import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError, ModelFormatError } from '../errors.js';
import type { ChatMessage, ChatTemplateOptions, RenderChat } from './chat_template.js';
import type { TokenizerManifest } from './messages.js';
import { TokenizerWorker } from './tokenizer_worker.js';

/** Text to token ids and back, by the rules of a model's `tokenizer.json`, off the event loop. */
export interface Tokenizer {
  /** Ids of `text`, with the special tokens around it that the model wants unless `addSpecialTokens` is false. */
  encode(text: string, options?: { addSpecialTokens?: boolean; signal?: AbortSignal }): Promise<number[]>;
  /** Text of `ids`; ids that the vocabulary does not have add nothing. `skipSpecialTokens` is true by default. */
  decode(ids: readonly number[], options?: { skipSpecialTokens?: boolean }): Promise<string>;
  /**
   * A conversation as prompt text, to be encoded with `addSpecialTokens: false`. Rejects with `UnsupportedError` if the
   * model has no template, with `InvalidArgumentError` if the template rejects the conversation.
   */
  applyChatTemplate(messages: readonly ChatMessage[], options?: ChatTemplateOptions): Promise<string>;
  readonly hasChatTemplate: boolean;
  /** Largest id + 1. */
  readonly vocabSize: number;
  /** Id of an added token; special tokens are among these. */
  tokenToId(token: string): number | undefined;
  /** Text of tokens as they come after `prefixIds`, special tokens left out. */
  stream(prefixIds: readonly number[]): DecodeStream;
  /** Ends the thread and frees the vocabulary. Idempotent; pending and later calls reject with `InvalidArgumentError`. */
  dispose(): void;
}

/**
 * All pieces and the flush together are decode(prefix + ids) without decode(prefix); where the ids complete a character
 * that the prefix began, without what both have in common. A piece never ends within a character.
 */
export interface DecodeStream {
  push(ids: readonly number[]): Promise<string>;
  /** What was held back; ends the stream. */
  flush(): Promise<string>;
  /** Frees a stream that is given up without a flush. Idempotent. */
  close(): void;
}

/**
 * The tokenizer of a Hugging Face model directory, or undefined if it has no `tokenizer.json`. Reads, parses and holds it in
 * a worker thread. Rejects with `ModelFormatError` for a malformed file, with `AbortError` if `signal` aborts.
 */
export async function loadTokenizer(
  directory: string,
  options: { signal?: AbortSignal } = {},
): Promise<Tokenizer | undefined> {
  if (!(await exists(join(directory, 'tokenizer.json')))) return undefined;
  const { worker, manifest } = await TokenizerWorker.start(directory, options.signal);
  return makeTokenizer(worker, manifest);
}

async function exists(path: string): Promise<boolean> {
  try {
    return (await stat(path)) !== undefined;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw new ModelFormatError(`${path}: cannot be read: ${message}`, { cause });
  }
}

function makeTokenizer(worker: TokenizerWorker, manifest: TokenizerManifest): Tokenizer {
  let renderer: Promise<RenderChat> | undefined;
  const idOf = new Map(manifest.addedTokens);
  let streams = 0;
  return {
    async encode(text, { addSpecialTokens = true, signal } = {}) {
      if (typeof text !== 'string')
        throw new InvalidArgumentError(`encode: expected a string, got ${typeof text}`);
      const ids = await worker.call({ kind: 'encode', text, addSpecialTokens }, signal);
      return Array.from(ids as Uint32Array);
    },
    async decode(ids, { skipSpecialTokens = true } = {}) {
      return (await worker.call({
        kind: 'decode',
        ids: packIds(ids, 'decode'),
        skipSpecialTokens,
      })) as string;
    },
    async applyChatTemplate(messages, chatOptions) {
      worker.throwIfEnded();
      renderer ??= import('./chat_template.js').then(({ chatRenderer }) => chatRenderer(manifest));
      return (await renderer)(messages, chatOptions);
    },
    hasChatTemplate: manifest.chatTemplates.default !== undefined,
    vocabSize: manifest.vocabSize,
    tokenToId: (token) => idOf.get(token),
    stream: (prefixIds) => openStream(worker, ++streams, packIds(prefixIds, 'stream')),
    dispose: () => worker.dispose(),
  };
}

function openStream(worker: TokenizerWorker, stream: number, prefix: Uint32Array): DecodeStream {
  let failure: unknown;
  let open = true;
  worker.call({ kind: 'open', stream, prefix }).catch((error: unknown) => {
    failure = error;
  });
  const call = async (request: { kind: 'push'; ids: Uint32Array } | { kind: 'flush' }): Promise<string> => {
    if (failure !== undefined) throw failure;
    return (await worker.call({ ...request, stream })) as string;
  };
  return {
    push: async (ids) => call({ kind: 'push', ids: packIds(ids, 'DecodeStream.push') }),
    flush: () => {
      open = false;
      return call({ kind: 'flush' });
    },
    close() {
      if (open) worker.call({ kind: 'close', stream }).catch(() => {});
      open = false;
    },
  };
}

function packIds(ids: readonly number[], where: string): Uint32Array {
  if (!Array.isArray(ids))
    throw new InvalidArgumentError(`${where}: expected a list of token ids, got ${typeof ids}`);
  const packed = Uint32Array.from(ids);
  const wrong = packed.findIndex((id, index) => id !== ids[index]);
  if (wrong < 0) return packed;
  throw new InvalidArgumentError(
    `${where}: expected token ids in [0, 2^32), got ${String(ids[wrong])} at ${wrong}`,
  );
}
