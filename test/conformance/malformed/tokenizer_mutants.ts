import { checkpointOf } from './bases.js';
import { type Json, jsonText, put, Raw } from './json_text.js';
import type { Mutant } from './mutant.js';
import { type TokenizerName, tokenizerNames, tokenizers } from './tokenizers.js';

const file = 'tokenizer.json';
type Says = readonly (string | RegExp)[];

function mutant(harm: string, base: TokenizerName, what: string, content: unknown, says?: Says): Mutant {
  const text = typeof content === 'string' ? content : jsonText(content);
  return {
    group: `tokenizer.json: ${harm}`,
    what: `${base}: ${what}`,
    files: () => ({ ...checkpointOf('gpt2'), [file]: text }),
    outcome: says ? 'error' : 'either',
    file,
    says: says && [file, ...says],
  };
}

const change = (
  harm: string,
  base: TokenizerName,
  path: string | string[],
  value: unknown,
  says?: Says,
): Mutant =>
  mutant(
    harm,
    base,
    `${[path].flat().join('.')} = ${jsonText(value)?.slice(0, 50) ?? 'absent'}`,
    put(tokenizers[base], path, value),
    says,
  );

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
        .map((value) => change('vocabulary', base, 'model.vocab', value, ['vocab'])),
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

const patterns: readonly string[] = [
  '([',
  '(',
  ')',
  '[',
  '[]',
  '*',
  '+',
  '?',
  'a{2,1}',
  'a{99999999}',
  '(a{1000}){1000}',
  '(a{1000}{1000})',
  '\\',
  '\\p{Nothing}',
  '\\p{',
  '(?<n>a)\\k<m>',
  '(?<=a*)b',
  '(?<!a+)b',
  '\\1',
  '\\g<1>',
  '(?<r>a\\g<r>)',
  '(?<r>a?\\g<r>?)',
  '[z-a]',
  '[[:nothing:]]',
  '(?z)',
  '(?#',
  '\\x{110000}',
  '\\uD800',
  '(?~a)',
  '\\K',
  'a\\K',
  '(?:',
  '',
  '^',
  '$',
  '\\b',
  '(?=a)',
  '(?!a)',
  '(?<=a)',
  '\\G',
  '\\A',
  '\\z',
  'a*',
  'a?',
  'a|',
  '(a|b*)*',
  '.*',
  '(?=z)',
  '(?=h)',
  '\\B',
  '(|a)',
  '(?:)+',
  'x{0}',
  'h{0,0}',
  '(?>)',
  '\\R?',
  '\\X',
  '\\R',
  '(a*)*$',
  '^(a|a)*$',
  '^(a|aa)+$',
  '(a+)+b?$',
  '(?:a?){30}a{30}$',
  '^(([a-z])+.)+[A-Z]([a-z])+$',
  '(.*)*x',
  '(?:\\w+\\s?)+!',
  'a*a*a*a*a*a*a*a*b',
  '(a*?)*?b$',
  '((a{1,9}){1,9}){1,9}b',
  '(?=(a+)+b)',
  '(?<!(a+)+)b',
  '(x+x+)+y',
  '.*.*.*.*=',
  '(?s).*.*.*q',
  '\\p{L}*\\p{L}*\\p{L}*[0-9]',
  '(?i)(A|a)*Q',
  '(a(?=a*)?)*b',
  '(?:(?:a|b)+c?)+d',
];

function regexes(): Mutant[] {
  return patterns.flatMap((Regex) => [
    change('regular expressions', 'byteLevel', 'pre_tokenizer.pretokenizers.0.pattern', { Regex }),
    change('regular expressions', 'unigram', 'normalizer.normalizers.1.pattern', { Regex }),
    change('regular expressions', 'sentencePiece', 'decoder.decoders.0.pattern', { Regex }),
  ]);
}

function nested(kind: 'normalizer' | 'pre_tokenizer' | 'post_processor' | 'decoder', depth: number): Raw {
  const [list, leaf] = {
    normalizer: ['normalizers', '{"type":"NFC"}'],
    pre_tokenizer: ['pretokenizers', '{"type":"Whitespace"}'],
    post_processor: [
      'processors',
      '{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}',
    ],
    decoder: ['decoders', '{"type":"Fuse"}'],
  }[kind] as [string, string];
  return new Raw(`${`{"type":"Sequence","${list}":[`.repeat(depth)}${leaf}${']}'.repeat(depth)}`);
}

/** One component of each kind that the library has, with fields that are unfit in turn. */
const components: Record<string, readonly Json[]> = {
  normalizer: [
    { type: 'Replace', pattern: { String: '' }, content: 'x' },
    { type: 'Replace', pattern: { String: 'a', Regex: 'b' }, content: 'x' },
    { type: 'Replace', pattern: 'a', content: 'x' },
    { type: 'Replace', pattern: {}, content: 'x' },
    { type: 'Replace', pattern: { String: 'a' }, content: 7 },
    { type: 'Prepend', prepend: '' },
    { type: 'Prepend', prepend: 7 },
    { type: 'Precompiled', precompiled_charsmap: null },
    { type: 'Precompiled', precompiled_charsmap: '' },
    { type: 'Precompiled', precompiled_charsmap: 'AAAA' },
    { type: 'Precompiled', precompiled_charsmap: '/////w==' },
    { type: 'Precompiled' },
    { precompiled_charsmap: 'AAAA' },
    { type: 'BertNormalizer' },
    { type: 'Sequence' },
    { type: 'Sequence', normalizers: 7 },
    { type: 'Sequence', normalizers: [7] },
    { type: 'Sequence', normalizers: [null] },
    { type: 'Strip', strip_left: 7 },
    { type: 'ByteLevel' },
    { type: 'Nothing' },
    { type: 7 },
    {},
  ],
  pre_tokenizer: [
    { type: 'FixedLength', length: 0 },
    { type: 'FixedLength', length: -1 },
    { type: 'FixedLength', length: 1.5 },
    { type: 'FixedLength', length: 2 ** 53 },
    { type: 'FixedLength' },
    { type: 'Metaspace', replacement: '' },
    { type: 'Metaspace', replacement: 'ab' },
    { type: 'Metaspace', replacement: ' ' },
    { type: 'Metaspace', replacement: 'a', prepend_scheme: 'never' },
    { type: 'Metaspace', replacement: '\u2581', add_prefix_space: false, prepend_scheme: 'first' },
    { type: 'CharDelimiterSplit', delimiter: '' },
    { type: 'CharDelimiterSplit', delimiter: 'ab' },
    { type: 'CharDelimiterSplit', delimiter: 'a' },
    { type: 'Split', pattern: { String: '' }, behavior: 'Isolated', invert: false },
    { type: 'Split', pattern: { String: '' }, behavior: 'Removed', invert: true },
    { type: 'Split', pattern: { Regex: '' }, behavior: 'MergedWithNext', invert: false },
    { type: 'Split', pattern: { String: 'a' }, behavior: 'Nothing', invert: false },
    { type: 'Split', pattern: 7, behavior: 'Isolated', invert: false },
    { type: 'Split' },
    { type: 'Punctuation', behavior: 'Shredded' },
    { type: 'Digits' },
    { type: 'UnicodeScripts' },
    { type: 'Sequence', pretokenizers: {} },
    { type: 'Sequence', pretokenizers: [7] },
    { type: 'Nothing' },
    {},
  ],
  post_processor: [
    { type: 'TemplateProcessing', single: 'A', pair: 'B', special_tokens: {} },
    {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: 'nothing', type_id: 0 } }],
      pair: [],
      special_tokens: {},
    },
    {
      type: 'TemplateProcessing',
      single: [{ Sequence: { id: 'B', type_id: 0 } }],
      pair: [],
      special_tokens: {},
    },
    {
      type: 'TemplateProcessing',
      single: [{ Sequence: { id: 'C', type_id: 0 } }],
      pair: [],
      special_tokens: {},
    },
    { type: 'TemplateProcessing', single: [{}], pair: [], special_tokens: {} },
    { type: 'TemplateProcessing', single: [7], pair: [], special_tokens: {} },
    { type: 'TemplateProcessing', single: [], pair: [], special_tokens: {} },
    { type: 'TemplateProcessing', single: ['$A'], pair: ['$A', '$B'], special_tokens: {} },
    {
      type: 'TemplateProcessing',
      single: ['<s>'],
      pair: [],
      special_tokens: { '<s>': { id: '<s>', ids: [1, 2], tokens: ['<s>'] } },
    },
    {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }],
      pair: [],
      special_tokens: { '<s>': { id: '<s>', ids: [], tokens: [] } },
    },
    {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }],
      pair: [],
      special_tokens: { '<s>': { id: '<s>', ids: [2 ** 32 - 1], tokens: ['<s>'] } },
    },
    {
      type: 'TemplateProcessing',
      single: new Array(5000).fill({ Sequence: { id: 'A', type_id: 0 } }),
      pair: [],
      special_tokens: {},
    },
    { type: 'TemplateProcessing', single: [], special_tokens: [] },
    { type: 'BertProcessing', sep: ['[SEP]'], cls: ['[CLS]', 1] },
    { type: 'BertProcessing', sep: ['[SEP]', -1], cls: ['[CLS]', 1] },
    { type: 'BertProcessing', sep: ['[SEP]', 2 ** 32 - 1], cls: ['[CLS]', 2 ** 31] },
    { type: 'RobertaProcessing' },
    { type: 'ByteLevel' },
    { type: 'Sequence', processors: [{ type: 'Nothing' }] },
    { type: 'Sequence', processors: [] },
    {},
  ],
  decoder: [
    { type: 'Strip', content: ' ', start: 0, stop: 1 },
    { type: 'Strip', content: ' ', start: 2 ** 53, stop: 0 },
    { type: 'Strip', content: ' ', start: -1, stop: 0 },
    { type: 'Strip', content: '', start: 1, stop: 0 },
    { type: 'Strip', content: 'ab', start: 1, stop: 0 },
    { type: 'Strip', content: ' ', start: 1, stop: 2 ** 40 },
    { type: 'Strip', content: ' ', start: 1, stop: '5' },
    { type: 'CTC', pad_token: '', word_delimiter_token: '', cleanup: true },
    { type: 'CTC', pad_token: 'a', word_delimiter_token: '|', cleanup: false },
    { type: 'BPEDecoder', suffix: '' },
    { type: 'WordPiece', prefix: '', cleanup: true },
    { type: 'WordPiece', prefix: 7, cleanup: true },
    { type: 'Replace', pattern: { String: '' }, content: 'xy' },
    { type: 'Replace', pattern: { Regex: '' }, content: 'xy' },
    { type: 'Metaspace', replacement: '' },
    { type: 'ByteFallback', extra: 1 },
    { type: 'Sequence', decoders: [] },
    { type: 'Sequence', decoders: [null] },
    { type: 'Nothing' },
    {},
  ],
};

function parts(): Mutant[] {
  const kinds = ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder'] as const;
  const bases = ['byteLevel', 'unigram'] as const;
  return kinds.flatMap((kind) => [
    ...(components[kind] ?? []).flatMap((value) =>
      bases.map((base) => change('components', base, kind, value)),
    ),
    ...[7, 'x', true, [], [{ type: 'NFC' }], null, undefined].flatMap((value) =>
      bases.map((base) => change('components', base, kind, value)),
    ),
    ...[2, 30, 60, 100, 1000, 20_000].map((depth) =>
      mutant(
        'deep nesting',
        'byteLevel',
        `${kind}, ${depth} levels`,
        put(tokenizers.byteLevel, kind, nested(kind, depth)),
        depth > 64 ? [] : undefined,
      ),
    ),
  ]);
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
