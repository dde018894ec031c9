import { ModelFormatError } from '../errors.js';

/**
 * Checks a SentencePiece `precompiled_charsmap`: base64 of `u32 bytes | trie | texts`, all little-endian, where the trie is
 * a Darts double array that maps UTF-8 sequences to offsets of NUL-terminated replacements in `texts`. The Rust library
 * follows it without looking at bounds. Layout: darts-clone (https://github.com/s-yata/darts-clone), `DoubleArrayUnit`.
 */
export function checkCharsmap(charsmap: unknown, path: string): void {
  const where = `${path}: normalizer.precompiled_charsmap`;
  if (typeof charsmap !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(charsmap) || charsmap.length % 4 !== 0) {
    throw new ModelFormatError(`${where}: expected base64, got ${typeof charsmap}`);
  }
  const bytes = Buffer.from(charsmap, 'base64');
  const trieBytes = bytes.length < 4 ? 0 : bytes.readUInt32LE(0);
  if (trieBytes < 4 || trieBytes % 4 !== 0 || 4 + trieBytes > bytes.length) {
    throw new ModelFormatError(
      `${where}: expected a trie inside ${bytes.length} bytes, got ${trieBytes} bytes of trie`,
    );
  }
  const trie = Uint32Array.from({ length: trieBytes / 4 }, (_, i) => bytes.readUInt32LE(4 + 4 * i));
  checkTrie(trie, bytes.subarray(4 + trieBytes), where);
}

function checkTrie(trie: Uint32Array, texts: Buffer, where: string): void {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(texts);
  } catch (cause) {
    throw new ModelFormatError(`${where}: expected replacements in UTF-8`, { cause });
  }
  const unitAt = (index: number): number => {
    const unit = trie[index];
    if (unit !== undefined) return unit;
    throw new ModelFormatError(`${where}: expected indices below ${trie.length}, got ${index}`);
  };
  const seen = new Uint8Array(trie.length);
  const open = [offsetOf(unitAt(0))];
  for (let base = open.pop(); base !== undefined; base = open.pop()) {
    for (let byte = 1; byte < 256; byte++) {
      const index = (base ^ byte) >>> 0;
      const unit = unitAt(index);
      if ((unit & 0x800000ff) !== byte || seen[index] === 1) continue;
      seen[index] = 1;
      const next = (index ^ offsetOf(unit)) >>> 0;
      if ((unit & 0x100) !== 0) checkReplacement(unitAt(next) & 0x7fffffff, texts, where);
      open.push(next);
    }
  }
}

function offsetOf(unit: number): number {
  return ((unit >>> 10) << ((unit & 0x200) >>> 6)) >>> 0;
}

function checkReplacement(start: number, texts: Buffer, where: string): void {
  const isContinuation = ((texts[start] ?? 0) & 0xc0) === 0x80;
  if (start <= texts.length && !isContinuation) return;
  throw new ModelFormatError(
    `${where}: expected a replacement inside ${texts.length} bytes, got one at ${start}`,
  );
}
