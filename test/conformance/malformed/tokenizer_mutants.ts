import { type Json, jsonText, put, Raw } from './json_text.js';
import type { Mutant } from './mutant.js';
import { parts, regexes } from './tokenizer_component_mutants.js';
import { change, mutant, type Says } from './tokenizer_mutant.js';
import { type TokenizerName, tokenizerNames, tokenizers } from './tokenizers.js';

const model = (base: TokenizerName): Json => tokenizers[base].model as Json;
const vocab = (base: TokenizerName): Json => model(base).vocab as Json;

function merges(): Mutant[] {
  const base = 'byteLevel';
  const own = model(base).merges as string[];
  const withMerges = (more: readonly unknown[]): readonly unknown[] => [...own, ...more];
  const cases: [string, readonly unknown[], Says | undefined][] = [
    ['a missing left token', ['\u4e00 a'], ['model', 'vocabulary']],
    ['a missing right token', ['a \u4e00'], ['model', 'vocabulary']],
    ['a missing result', ['x y'], ['model', 'vocabulary']],
    ['a result longer than any token', ['hello hello'], ['merge']],
    ['a result longer than any token, as a pair', [['hello', 'hello']], ['merge']],
    ['three tokens', ['h e l'], ['merge']],
    ['one token', ['he'], ['merge']],
    ['nothing', [''], ['merge']],
    ['two spaces', ['h  e'], ['merge']],
    ['pairs of three', [['h', 'e', 'l']], ['merge']],
    ['pairs of one', [['h']], ['merge']],
    ['numbers', [7], ['merge']],
    ['pairs of numbers', [[1, 2]], ['merge']],
    ['null', [null], ['merge']],
    ['nested', [[['h', 'e']]], ['merge']],
    ['an object', [{ a: 'h', b: 'e' }], ['merge']],
    ['pairs among texts', [['h', 'e']], undefined],
    ['a merge twice', ['h e'], undefined],
    ['a hundred thousand times', new Array(100_000).fill('h e'), undefined],
    ['a version line', ['#version: 0.2'], undefined],
  ];
  const kinds: unknown[] = [null, undefined, {}, 'h e', 7, true];
  // Tokens whose merges make one another: a and the empty text, both ways round.
  const cyclic = put(
    put(tokenizers.sentencePiece, 'model.vocab', { '': 0, a: 1, b: 2, ab: 3, aba: 4 }),
    'added_tokens',
    [],
  );
  const rings = [
    [
      ['', 'a'],
      ['a', ''],
    ],
    [['', '']],
    [
      ['a', 'b'],
      ['ab', 'a'],
      ['', 'aba'],
      ['aba', ''],
    ],
  ];
  return [
    ...cases.map(([what, more, says]) =>
      mutant('merges', base, what, put(tokenizers[base], 'model.merges', withMerges(more)), says),
    ),
    ...kinds.map((value) => change('merges', base, 'model.merges', value, ['merges'])),
    ...rings.map((ring) =>
      mutant(
        'cyclic merges',
        'sentencePiece',
        jsonText(ring),
        put(put(cyclic, 'model.merges', ring), 'post_processor', null),
      ),
    ),
    change('merges', base, 'model.continuing_subword_prefix', '##', ['merge']),
    change('merges', base, 'model.continuing_subword_prefix', 'h', ['merge']),
    change('merges', base, 'model.continuing_subword_prefix', '😀'),
    change('merges', base, 'model.continuing_subword_prefix', 'x'.repeat(1000), ['merge']),
  ];
}

function vocabularies(): Mutant[] {
  const ids: [unknown, Says | undefined][] = [
    [-1, ['a', 'id']],
    [0.5, ['a', 'id']],
    ['5', ['a', 'id']],
    [null, ['a', 'id']],
    [true, ['a', 'id']],
    [[5], ['a', 'id']],
    [{}, ['a', 'id']],
    [new Raw('1e999'), ['a', 'id']],
    [2 ** 31, ['a', 'id']],
    [2 ** 32, ['a', 'id']],
    [2 ** 53, ['a', 'id']],
    [2 ** 31 - 2, undefined],
    [1_000_000, undefined],
    [0, undefined],
  ];
  const bases = ['byteLevel', 'sentencePiece', 'wordPiece', 'wordLevel'] as const;
  const tokenOf = (base: (typeof bases)[number]): string => (base === 'wordLevel' ? 'hello' : 'a');
  const kinds: unknown[] = [null, undefined, [], {}, 'abc', 7, [['a', 0]]];
  const unigram = model('unigram').vocab as unknown[];
  const pieces: [string, unknown][] = [
    ['a text alone', 'a'],
    ['a pair of texts', ['a', '-1']],
    ['a triple', ['a', -1, 0]],
    ['a number first', [-1, 'a']],
    ['an infinite score', ['q', new Raw('1e999')]],
    ['a huge score', ['q', 1e308]],
    ['a hugely negative score', ['q', -1e308]],
    ['the empty piece', ['', -1]],
    ['a piece twice', ['a', -1]],
    ['null', null],
    ['an object', { a: -1 }],
    ['a long piece', ['a'.repeat(50_000), -1]],
  ];
  return [
    ...bases.flatMap((base) =>
      ids.map(([id, says]) =>
        change(
          'vocabulary',
          base,
          ['model', 'vocab', tokenOf(base)],
          id,
          says && (says[0] === 'a' ? [tokenOf(base), 'id'] : says),
        ),
      ),
    ),
    ...(['byteLevel', 'unigram', 'wordLevel'] as const).flatMap((base) =>
      kinds
        .filter((value) => !(base === 'unigram' && Array.isArray(value)))
        .map((value) => change('vocabulary', base, 'model.vocab', value, [/vocab|merges/])),
    ),
    ...pieces.map(([what, piece]) =>
      mutant('vocabulary', 'unigram', what, put(tokenizers.unigram, 'model.vocab', [...unigram, piece])),
    ),
    mutant('vocabulary', 'unigram', 'no pieces', put(tokenizers.unigram, 'model.vocab', []), ['vocab']),
    ...[-1, 999, 1.5, '0', 2 ** 53, null].map((value) =>
      change('vocabulary', 'unigram', 'model.unk_id', value),
    ),
    mutant(
      'vocabulary',
      'byteLevel',
      'sparse',
      put(
        tokenizers.byteLevel,
        'model.vocab',
        Object.fromEntries(
          Object.entries(vocab('byteLevel')).map(([t, id]) => [t, (id as number) * 1_000_003]),
        ),
      ),
    ),
    mutant(
      'vocabulary',
      'byteLevel',
      'all ids 0',
      put(
        tokenizers.byteLevel,
        'model.vocab',
        Object.fromEntries(Object.keys(vocab('byteLevel')).map((t) => [t, 0])),
      ),
    ),
    mutant(
      'vocabulary',
      'byteLevel',
      'a token twice',
      jsonText(tokenizers.byteLevel).replace('"vocab":{', '"vocab":{"<unk>":7,'),
      ['twice'],
    ),
    mutant(
      'vocabulary',
      'byteLevel',
      '__proto__',
      put(
        tokenizers.byteLevel,
        'model.vocab',
        new Raw(`{"__proto__":300,${jsonText(vocab('byteLevel')).slice(1)}`),
      ),
    ),
    mutant(
      'vocabulary',
      'byteLevel',
      'a lone surrogate',
      put(
        tokenizers.byteLevel,
        'model.vocab',
        new Raw(`{"\\ud800":300,${jsonText(vocab('byteLevel')).slice(1)}`),
      ),
      [],
    ),
    ...[
      'model.unk_token',
      'model.dropout',
      'model.end_of_word_suffix',
      'model.byte_fallback',
      'model.fuse_unk',
      'model.ignore_merges',
    ].flatMap((path) =>
      [7, 'q', true, null, [], {}, -1, 0.5].map((value) => change('model', 'sentencePiece', path, value)),
    ),
    ...['unk_token', 'continuing_subword_prefix', 'max_input_chars_per_word'].flatMap((field) =>
      [7, 'q', '', null, [], -1, 2 ** 53, undefined].map((value) =>
        change('model', 'wordPiece', `model.${field}`, value),
      ),
    ),
    ...[7, 'q', '', null, undefined].map((value) => change('model', 'wordLevel', 'model.unk_token', value)),
    ...tokenizerNames.flatMap((base) => [
      ...['BPE', 'WordPiece', 'WordLevel', 'Unigram', 'Other', '', 7, null, undefined].map((value) =>
        change('model', base, 'model.type', value),
      ),
    ]),
  ];
}

function addedTokens(): Mutant[] {
  const base = 'byteLevel';
  const own = tokenizers[base].added_tokens as Json[];
  const fields: [string, readonly unknown[]][] = [
    ['id', [-1, 1.5, '1', null, undefined, 2 ** 31, 2 ** 32, 2 ** 53, 7, 300, 2 ** 31 - 2, new Raw('1e999')]],
    [
      'content',
      [
        '',
        7,
        null,
        undefined,
        [],
        'x'.repeat(100_000),
        ' ',
        '\u0000',
        'a',
        'hello',
        '\u0301',
        new Raw('"\\ud800"'),
      ],
    ],
    ['special', [7, 'yes', null, undefined, []]],
    ['normalized', [true, 7, 'yes', null, undefined]],
    ['lstrip', [true, 7, null, undefined]],
    ['rstrip', [true, 'x', undefined]],
    ['single_word', [true, 0, undefined]],
  ];
  const kinds: unknown[] = [{}, 'x', 7, true, [7], ['x'], [null], [[]], null, undefined, []];
  const white = (content: string, id: number): Json => ({
    ...own[2],
    content,
    id,
    lstrip: true,
    rstrip: true,
  });
  return [
    ...fields.flatMap(([field, values]) =>
      values.map((value) => change('added tokens', base, ['added_tokens', '2', field], value)),
    ),
    ...kinds.map((value) => change('added tokens', base, 'added_tokens', value)),
    mutant('added tokens', base, 'one twice', put(tokenizers[base], 'added_tokens', [...own, own[2]])),
    mutant(
      'added tokens',
      base,
      'one with two ids',
      put(tokenizers[base], 'added_tokens', [...own, { ...own[2], id: 900 }]),
      ['<|mark|>', 'id'],
    ),
    mutant(
      'added tokens',
      base,
      'two with one id',
      put(tokenizers[base], 'added_tokens', [...own, { ...own[2], content: '<|other|>' }]),
      ['id'],
    ),
    mutant(
      'added tokens',
      base,
      'in descending order',
      put(tokenizers[base], 'added_tokens', [...own].reverse()),
    ),
    mutant(
      'added tokens',
      base,
      'white space',
      put(tokenizers[base], 'added_tokens', [...own, white(' ', 269), white('\n', 270), white('  ', 271)]),
    ),
    mutant(
      'added tokens',
      base,
      'five thousand',
      put(tokenizers[base], 'added_tokens', [
        ...own,
        ...Array.from({ length: 5000 }, (_, i) => white(`<${i}>`, 269 + i)),
      ]),
    ),
  ];
}

function texts(): Mutant[] {
  const text = jsonText(tokenizers.byteLevel);
  const cases: [string, string, Says | undefined][] = [
    ['empty', '', []],
    ['a brace', '{', []],
    ['cut short', text.slice(0, -1), []],
    ['cut in half', text.slice(0, text.length >> 1), []],
    ['null', 'null', []],
    ['a list', '[]', []],
    ['a text', '"x"', []],
    ['an empty object', '{}', ['model']],
    ['NaN', text.replace('"id":1,', '"id":NaN,'), []],
    ['100,000 levels', `{"model":${'['.repeat(100_000)}`, []],
    ['100,000 closed levels', `{"model":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, []],
    [
      'a part twice',
      text.replace('"normalizer":', '"normalizer":{"type":"NFD"},"normalizer":'),
      ['normalizer', 'twice'],
    ],
    [
      'a hostile part before the real one',
      text.replace(
        '"normalizer":',
        '"normalizer":{"type":"Precompiled","precompiled_charsmap":"AAAA"},"normalizer":',
      ),
      ['normalizer', 'twice'],
    ],
    ['a field twice', text.replace('"dropout":', '"dropout":0.5,"dropout":'), ['dropout', 'twice']],
    ['a byte order mark', `\ufeff${text}`, undefined],
    ['NUL', `${text}\0`, []],
  ];
  const fields: [string, unknown][] = [
    ...['2.0', 1, null, undefined].map((value): [string, unknown] => ['version', value]),
    ...[
      { max_length: 1 },
      { direction: 'Right', max_length: 0, strategy: 'LongestFirst', stride: 5 },
      7,
      [],
    ].map((value): [string, unknown] => ['truncation', value]),
    ...[
      {
        strategy: { Fixed: 2 ** 40 },
        direction: 'Right',
        pad_id: 0,
        pad_type_id: 0,
        pad_token: 'a',
        pad_to_multiple_of: 0,
      },
      7,
    ].map((value): [string, unknown] => ['padding', value]),
    ...[null, undefined, 7, 'BPE', [], {}].map((value): [string, unknown] => ['model', value]),
  ];
  return [
    ...cases.map(([what, content, says]) => mutant('text', 'byteLevel', what, content, says)),
    ...fields.map(([field, value]) => change('fields', 'byteLevel', field, value)),
    ...tokenizerNames.map(
      (base): Mutant => ({ ...mutant('as it is', base, 'works', tokenizers[base]), outcome: 'works' }),
    ),
  ];
}

/** The classes of harm that a tokenizer.json can come to. */
export const tokenizerMutants = (): Mutant[] => [
  ...merges(),
  ...vocabularies(),
  ...addedTokens(),
  ...regexes(),
  ...parts(),
  ...texts(),
];
