import { describe, expect, test } from 'vitest';
import { loadTokenizer } from '../../lib/tokenizers/tokenizer.js';
import { directoryOf } from './golden_tokenizers.js';

type Json = Record<string, unknown>;

function file(model: Json = {}, rest: Json = {}): Json {
  const bpe = { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'], ...model };
  return { version: '1.0', added_tokens: [], model: bpe, ...rest };
}

function added(tokens: [string, number][]): Json {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return { added_tokens: tokens.map(([content, id]) => ({ ...flags, content, id })) };
}

function charsmap(bytes: number[]): Json {
  return { normalizer: { type: 'Precompiled', precompiled_charsmap: Buffer.from(bytes).toString('base64') } };
}

function template(single: Json[]): Json {
  return { post_processor: { type: 'TemplateProcessing', single, pair: [], special_tokens: {} } };
}

function nested(depth: number): Json {
  let normalizer: Json = { type: 'NFC' };
  for (let i = 0; i < depth; i++) normalizer = { type: 'Sequence', normalizers: [normalizer] };
  return { normalizer };
}

const malformed: Record<string, unknown> = {
  'an empty file': '',
  'a file cut short': JSON.stringify(file()).slice(0, 40),
  'a list': [],
  null: 'null',
  'no model': { version: '1.0' },
  'an unknown model': file({ type: 'Abacus' }),
  'no vocabulary': file({ vocab: undefined }),
  'an empty vocabulary': file({ vocab: {}, merges: [] }),
  'a negative id': file({ vocab: { a: -1 }, merges: [] }),
  'a broken id': file({ vocab: { a: 0.5 }, merges: [] }),
  'an id as text': file({ vocab: { a: '0' }, merges: [] }),
  'an id beyond 31 bits': file({ vocab: { a: 2 ** 31 }, merges: [] }),
  'two tokens with one id': file({ vocab: { a: 0, b: 0 }, merges: [] }),
  'a merge of unknown tokens': file({ merges: ['x y'] }),
  'a merge into an unknown token': file({ merges: ['b a'] }),
  'a merge of three tokens': file({ merges: ['a b c'] }),
  'a merge shorter than the prefix': file({ continuing_subword_prefix: '####' }),
  'an added token with another id than it gets': file({}, added([['<x>', 7]])),
  'an added token with two ids': file(
    {},
    added([
      ['<x>', 3],
      ['<x>', 4],
    ]),
  ),
  'an added token without text': file({}, added([['', 3]])),
  'added tokens that are no list': file({}, { added_tokens: { a: 1 } }),
  'an unknown pre-tokenizer': file({}, { pre_tokenizer: { type: 'Shredder' } }),
  'a broken regular expression': file(
    {},
    {
      pre_tokenizer: { type: 'Split', pattern: { Regex: '([' }, behavior: 'Isolated', invert: false },
    },
  ),
  'pieces of length 0': file({}, { pre_tokenizer: { type: 'FixedLength', length: 0 } }),
  'a normalizer nested 100 deep': file({}, nested(100)),
  'a normalizer nested 20000 deep': JSON.stringify(file()).replace(
    '"model"',
    () => `"normalizer":${'{"type":"Sequence","normalizers":['.repeat(20000)}${']}'.repeat(20000)},"model"`,
  ),
  'a template with an undeclared token': file({}, template([{ SpecialToken: { id: '<s>', type_id: 0 } }])),
  'a template with a second sequence for one': file({}, template([{ Sequence: { id: 'B', type_id: 0 } }])),
  'a charsmap of null': file({}, { normalizer: { type: 'Precompiled', precompiled_charsmap: null } }),
  'a charsmap that is too short': file({}, charsmap([1])),
  'a charsmap whose trie is longer than itself': file({}, charsmap([255, 255, 255, 127, 0])),
  'a charsmap whose trie points outside': file({}, charsmap([4, 0, 0, 0, 255, 255, 255, 127, 0])),
  'a Unigram model without tokens': file({ type: 'Unigram', unk_id: 0, vocab: [] }),
  'a Unigram model with an unknown unk_id': file({ type: 'Unigram', unk_id: 9, vocab: [['a', -1]] }),
};

describe('a malformed tokenizer.json is a typed error', () => {
  test.each(Object.entries(malformed))('%s', async (_, content) => {
    const loading = loadTokenizer(directoryOf({ 'tokenizer.json': content }));
    await expect(loading).rejects.toMatchObject({ name: 'ModelFormatError', code: 'MODEL_FORMAT' });
  });

  test('bytes that are not UTF-8', async () => {
    const directory = directoryOf({ 'tokenizer.json': '' });
    const { writeFileSync } = await import('node:fs');
    writeFileSync(`${directory}/tokenizer.json`, Buffer.from([0x7b, 0xff, 0x7d]));
    await expect(loadTokenizer(directory)).rejects.toMatchObject({ code: 'MODEL_FORMAT' });
  });

  test.each(['tokenizer_config.json', 'chat_template.json', 'special_tokens_map.json'])(
    '%s beside it',
    async (name) => {
      const directory = directoryOf({ 'tokenizer.json': file(), [name]: '{' });
      await expect(loadTokenizer(directory)).rejects.toMatchObject({
        code: 'MODEL_FORMAT',
        message: expect.stringContaining(name),
      });
    },
  );

  test('one that shows only in use', async () => {
    const tokenizer = await loadTokenizer(directoryOf({ 'tokenizer.json': file({ unk_token: '<unk>' }) }));
    await expect(tokenizer?.encode('z')).rejects.toMatchObject({ code: 'MODEL_FORMAT' });
    tokenizer?.dispose();
  });
});

const nfc = { type: 'NFC' };
test.each<[string, Json]>([
  ['Strip from the end', { decoder: { type: 'Strip', content: 'a', start: 0, stop: 5 } }],
  [
    'a Replace of nothing',
    {
      normalizer: {
        type: 'Sequence',
        normalizers: [{ type: 'Replace', pattern: { Regex: '^' }, content: 'b' }, nfc],
      },
    },
  ],
  [
    'a Prepend of nothing',
    { normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '' }, nfc] } },
  ],
])('what would end the process is unsupported: %s', async (_, parts) => {
  const loading = loadTokenizer(directoryOf({ 'tokenizer.json': file({}, parts) }));
  await expect(loading).rejects.toMatchObject({ code: 'UNSUPPORTED' });
});

test('truncation and padding of the file are off', async () => {
  const truncation = { direction: 'Right', max_length: 2, strategy: 'LongestFirst', stride: 5 };
  const padding = { strategy: { Fixed: 9 }, direction: 'Right', pad_id: 0, pad_type_id: 0, pad_token: 'a' };
  const tokenizer = await loadTokenizer(directoryOf({ 'tokenizer.json': file({}, { truncation, padding }) }));
  expect(await tokenizer?.encode('abbb')).toEqual([2, 1, 1]);
  tokenizer?.dispose();
});

test('a sound charsmap is taken', async () => {
  const trie = new Uint32Array(512);
  trie[0] = 256 << 10; // root: children from unit 256 on
  trie[256 ^ 97] = (1 << 10) | 0x100 | 97; // 'a' ends here; its value lies one unit beside
  trie[256 ^ 97 ^ 1] = 0x80000000; // replacement at offset 0
  const bytes = [0, 8, 0, 0, ...new Uint8Array(trie.buffer), ...Buffer.from('b\0')];
  const tokenizer = await loadTokenizer(directoryOf({ 'tokenizer.json': file({}, charsmap(bytes)) }));
  expect(await tokenizer?.encode('aba')).toEqual([1, 1, 1]);
  tokenizer?.dispose();
});
