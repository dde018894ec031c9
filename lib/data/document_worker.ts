import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { failureOf } from '../tokenizers/failure.js';
import { type Cleaned, cleanText } from './clean_text.js';
import type {
  CleanedBatch,
  DocumentReply,
  DocumentRequest,
  DocumentWorkerStart,
} from './document_messages.js';
import { dropCodes } from './drop_reasons.js';
import { type CleanDocument, type EncodeDocuments, joined, loadEncoder } from './encode_documents.js';

const { clean, field, specialTokens = [], tokenizer, endOfText } = workerData as DocumentWorkerStart;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The text of a document as it was read, cleaned. */
function cleanedOf(bytes: Uint8Array, format: DocumentRequest['format']): Cleaned {
  // A NUL in JSON is written otherwise; and no text has one.
  if (Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(0)) return { drop: 'binary' };
  let raw: string;
  try {
    raw = utf8.decode(bytes);
  } catch {
    return { drop: 'not_utf8' };
  }
  if (format !== 'jsonl') return cleanText(raw, format, clean);
  if (raw.trim() === '') return { drop: 'empty' };
  const text = fieldOf(raw);
  return text === undefined ? { drop: 'malformed' } : cleanText(text, format, clean);
}

/** The text of a line of JSONL; undefined: it has none, or half a surrogate pair in it. */
function fieldOf(line: string): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const text = (value as Record<string, unknown> | null)?.[field];
  return typeof text === 'string' && !/\p{Surrogate}/u.test(text) ? text : undefined;
}

const hasOneOf = (text: string, tokens: readonly string[]): boolean =>
  tokens.some((token) => text.includes(token));

async function cleanBatch(
  { format, bytes, ends }: DocumentRequest,
  encode: EncodeDocuments | undefined,
): Promise<CleanedBatch> {
  const dropped = new Uint8Array(ends.length);
  const kept: CleanDocument[] = [];
  const rawBytes = ends.map((end, i) => end - (i === 0 ? 0 : (ends[i - 1] as number)));
  ends.forEach((end, i) => {
    let cleaned = cleanedOf(bytes.subarray(end - (rawBytes[i] as number), end), format);
    if ('text' in cleaned && hasOneOf(cleaned.text, encode?.specialTokens ?? specialTokens))
      cleaned = { drop: 'special_token' };
    if ('text' in cleaned) kept.push({ text: cleaned.text, utf8: Buffer.from(cleaned.text) });
    else dropped[i] = 1 + dropCodes.indexOf(cleaned.drop);
  });
  const hashes = new Uint32Array(4 * kept.length);
  kept.forEach((document, i) => {
    const digest = createHash('sha256').update(document.utf8).digest();
    for (let word = 0; word < 4; word++) hashes[4 * i + word] = digest.readUInt32LE(4 * word);
  });
  const cleanBytes = Uint32Array.from(kept, (document) => document.utf8.length);
  const out = encode
    ? await encode.encode(kept)
    : joined(
        kept.map((document) => document.utf8),
        Uint8Array,
      );
  return { dropped, rawBytes, cleanBytes, hashes, ...out };
}

function post(reply: DocumentReply): void {
  const arrays = 'cleaned' in reply ? Object.values(reply.cleaned) : [];
  parentPort?.postMessage(reply, arrays.map(({ buffer }) => buffer) as ArrayBuffer[]);
}

let encoder: EncodeDocuments | undefined;
async function answer(request: DocumentRequest): Promise<void> {
  try {
    if (tokenizer !== undefined) encoder ??= loadEncoder(tokenizer, endOfText as number);
    post({ cleaned: await cleanBatch(request, encoder) });
  } catch (error) {
    post({ failed: failureOf(error) });
  }
}

// One after the other: answers come in the order of the requests.
let last = Promise.resolve();
parentPort?.on('message', (request: DocumentRequest) => {
  last = last.then(() => answer(request));
});
