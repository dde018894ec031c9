import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadTokenizer, type Tokenizer } from '../../lib/tokenizers/tokenizer.js';
import { directoryOf } from './golden_tokenizers.js';

const letters = Object.fromEntries(Array.from('abcdefghijklmnopqrstuvwxyz .', (letter, id) => [letter, id]));
const special = {
  id: 28,
  content: '<end>',
  special: true,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
};
const directory = directoryOf({
  'tokenizer.json': {
    version: '1.0',
    added_tokens: [special],
    pre_tokenizer: {
      type: 'Split',
      pattern: { Regex: '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+|\\S+' },
      behavior: 'Isolated',
      invert: false,
    },
    decoder: { type: 'Fuse' },
    model: { type: 'BPE', vocab: letters, merges: [] },
  },
});

async function load(): Promise<Tokenizer> {
  const tokenizer = await loadTokenizer(directory);
  if (tokenizer === undefined) throw new Error('no tokenizer');
  return tokenizer;
}

describe('a tokenizer', () => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await load();
  });
  afterAll(() => tokenizer.dispose());

  test('knows the size of its vocabulary and the ids of added tokens', () => {
    expect(tokenizer.vocabSize).toBe(29);
    expect(tokenizer.tokenToId('<end>')).toBe(28);
    expect(tokenizer.tokenToId('<start>')).toBeUndefined();
    expect(tokenizer.hasChatTemplate).toBe(false);
  });

  test('takes empty texts and id lists', async () => {
    expect(await tokenizer.encode('')).toEqual([]);
    expect(await tokenizer.decode([])).toBe('');
  });

  test('leaves out special tokens, and ids that it does not have', async () => {
    expect(await tokenizer.decode([0, 28, 1, 99, 2 ** 32 - 1])).toBe('ab');
    expect(await tokenizer.decode([0, 28, 1], { skipSpecialTokens: false })).toBe('a<end>b');
  });

  test.each([[-1], [0.5], [2 ** 32], [Number.NaN], ['1']])('rejects %s as an id', async (id) => {
    const expected = { code: 'INVALID_ARGUMENT' };
    await expect(tokenizer.decode([0, id as number])).rejects.toMatchObject(expected);
    expect(() => tokenizer.stream([id as number])).toThrow(expect.objectContaining(expected));
    const stream = tokenizer.stream([]);
    await expect(stream.push([id as number])).rejects.toMatchObject(expected);
    stream.close();
  });

  test('rejects what is no text', async () => {
    await expect(tokenizer.encode(5 as unknown as string)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  test('survives a text that takes its split pattern millions of steps back', async () => {
    await expect(tokenizer.encode(`${' '.repeat(12e6)}x`)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(await tokenizer.encode(`${' '.repeat(1_999_999)}x`)).toHaveLength(2_000_000);
  });

  test('rejects an aborted call at once and goes on', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const call = tokenizer.encode('long text. '.repeat(20_000), { signal: controller.signal });
    controller.abort(reason);
    await expect(call).rejects.toMatchObject({ name: 'AbortError', cause: reason });
    await expect(tokenizer.encode('a', { signal: controller.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(await tokenizer.encode('abc')).toEqual([0, 1, 2]);
  });

  test('keeps the event loop turning while it encodes', async () => {
    let turns = 0;
    const count = () => {
      turns++;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    await tokenizer.encode('some words to cut. '.repeat(20_000));
    clearImmediate(timer);
    expect(turns).toBeGreaterThan(20);
  });
});

test('nothing that the calling thread imports reads, parses or holds a vocabulary', () => {
  const seen = new Set<string>();
  const visit = (name: string) => {
    if (seen.has(name)) return;
    seen.add(name);
    const source = readFileSync(new URL(`../../lib/tokenizers/${name}`, import.meta.url), 'utf8');
    for (const [, path] of source.matchAll(/^(?:import|export) (?!type)[^;]*from '\.\/([a-z_]+)\.js'/gm)) {
      visit(`${path}.ts`);
    }
    expect(source, name).not.toMatch(/readFileSync|JSON\.parse|'tokenizers'/);
  };
  visit('tokenizer.ts');
  expect(seen).toContain('tokenizer_worker.ts');
});

test('a directory without tokenizer.json has no tokenizer', async () => {
  expect(await loadTokenizer(directoryOf({}))).toBeUndefined();
  expect(await loadTokenizer('/nowhere/at/all')).toBeUndefined();
});

test('loading can be aborted', async () => {
  const controller = new AbortController();
  const loading = loadTokenizer(directory, { signal: controller.signal });
  setImmediate(() => controller.abort());
  await expect(loading).rejects.toMatchObject({ name: 'AbortError' });
  await expect(loadTokenizer(directory, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    name: 'AbortError',
  });
});

test('dispose rejects pending and later calls, and may be repeated', async () => {
  const tokenizer = await load();
  const stream = tokenizer.stream([0]);
  const pending = [tokenizer.encode('abc'), tokenizer.decode([0]), stream.push([1])];
  tokenizer.dispose();
  tokenizer.dispose();
  const calls = [
    ...pending,
    tokenizer.encode('a'),
    tokenizer.applyChatTemplate([]),
    stream.push([1]),
    stream.flush(),
  ];
  for (const result of await Promise.allSettled(calls)) {
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'INVALID_ARGUMENT' } });
  }
  stream.close();
});

test.each([
  ['ends by itself though a tokenizer is open', ''],
  ['waits for a pending call', 'void tokenizer.encode("abc").then((ids) => console.log(ids.length));'],
  [
    'may exit during a call',
    'void tokenizer.encode("a b. ".repeat(9e4)); setTimeout(() => process.exit(0), 5);',
  ],
  [
    'may exit right after dispose',
    'void tokenizer.encode("abc").catch(() => {}); tokenizer.dispose(); process.exit(0);',
  ],
])('the process %s', async (_, body) => {
  const module = new URL('../../dist/tokenizers/tokenizer.js', import.meta.url);
  const script = `import { loadTokenizer } from ${JSON.stringify(module.href)};
    const tokenizer = await loadTokenizer(${JSON.stringify(directory)}); ${body}`;
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('../../', import.meta.url)),
    timeout: 20_000,
  });
  const { stdout, stderr } = await run;
  expect(stderr).toBe('');
  expect(stdout).toBe(body.includes('console') ? '3\n' : '');
});
