import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { InvalidArgumentError, ModelFormatError } from '../errors.js';
import { checkRuns } from './check_runs.js';
import { DecodeWindow, type TokenDecoder } from './decode_window.js';
import { failureOf } from './failure.js';
import type { WorkerMessage, WorkerReply, WorkerRequest, WorkerStart } from './messages.js';
import { type LoadedTokenizer, loadNativeTokenizer } from './native_tokenizer.js';
import { readText, readTokenizerSettings } from './tokenizer_files.js';

function start({ directory }: WorkerStart): void {
  try {
    const path = join(directory, 'tokenizer.json');
    const text = readText(path);
    if (text === undefined) throw new ModelFormatError(`${path}: expected a file, got none`);
    const settings = readTokenizerSettings(directory);
    const tokenizer = loadNativeTokenizer(text, path);
    serve(tokenizer);
    const { vocabSize, addedTokens } = tokenizer;
    post({ ready: { vocabSize, addedTokens, ...settings } });
  } catch (error) {
    post({ failed: failureOf(error) });
  }
}

function serve(tokenizer: LoadedTokenizer): void {
  const decoder = tokenDecoder(tokenizer);
  const streams = new Map<number, DecodeWindow>();
  parentPort?.on('message', (requests: readonly WorkerRequest[]) => {
    const replies: WorkerReply[] = [];
    for (const request of requests) {
      if (request.kind === 'encode' || request.kind === 'decode') void answer(request, tokenizer);
      else replies.push(attempt(request.call, () => stream(request, decoder, streams)));
    }
    if (replies.length > 0) post({ replies });
  });
}

type Encoding = Extract<WorkerRequest, { kind: 'encode' | 'decode' }>;
type Streaming = Exclude<WorkerRequest, Encoding>;

async function answer(request: Encoding, { native, limits }: LoadedTokenizer): Promise<void> {
  const { call } = request;
  try {
    if (request.kind === 'decode') {
      const value = await native.decode(Array.from(request.ids), request.skipSpecialTokens);
      return post({ replies: [{ call, value }] });
    }
    checkRuns(request.text, limits);
    const { addSpecialTokens } = request;
    const encoding = await native.encode(request.text, null, { addSpecialTokens });
    post({ replies: [{ call, value: Uint32Array.from(encoding.getIds()) }] });
  } catch (error) {
    post({ replies: [{ call, failure: failureOf(error) }] });
  }
}

function attempt(call: number, run: () => string): WorkerReply {
  try {
    return { call, value: run() };
  } catch (error) {
    return { call, failure: failureOf(error) };
  }
}

function stream(request: Streaming, decoder: TokenDecoder, streams: Map<number, DecodeWindow>): string {
  if (request.kind === 'open') {
    streams.set(request.stream, new DecodeWindow(decoder, request.prefix));
    return '';
  }
  const window = streams.get(request.stream);
  if (request.kind === 'close') {
    streams.delete(request.stream);
    return '';
  }
  if (window === undefined)
    throw new InvalidArgumentError('DecodeStream: expected an open stream, got a closed one');
  if (request.kind === 'push') return window.push(request.ids);
  streams.delete(request.stream);
  return window.flush();
}

function tokenDecoder({ native, specialIds, hasByteFallback }: LoadedTokenizer): TokenDecoder {
  const decoder = native.getDecoder();
  return {
    decode: (tokens) => decoder?.decode(tokens) ?? tokens.join(' '),
    tokenOf: (id) => (specialIds.has(id) ? undefined : (native.idToToken(id) ?? undefined)),
    hasByteFallback,
  };
}

function post(message: WorkerMessage): void {
  parentPort?.postMessage(message);
}

post({ running: true });
start(workerData as WorkerStart);
