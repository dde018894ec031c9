import type { Json } from './json_text.js';

const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
const added = (content: string, id: number, more: Json = {}): Json => ({ id, content, ...flags, ...more });
const vocabOf = (tokens: readonly string[]): Record<string, number> =>
  Object.fromEntries(tokens.map((token, id) => [token, id]));

/** The 256 characters that stand for bytes in a byte-level vocabulary. */
const byteCharacters = Array.from({ length: 256 }, (_, byte) => {
  const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  if (printable) return String.fromCharCode(byte);
  const before = Array.from({ length: byte }, (_, b) => b).filter(
    (b) => !((b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae),
  );
  return String.fromCharCode(256 + before.length);
});

const template = {
  type: 'TemplateProcessing',
  single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
  pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
  special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
};

const specials = ['<unk>', '<s>', '</s>'];
const letters = [...'abcdefghijklmnopqrstuvwxyz'];
const merged = ['he', 'll', 'llo', 'hello', 'wo', 'or', 'th', 'in'];
const merges = ['h e', 'l l', 'll o', 'he llo', 'w o', 'o r', 't h', 'i n'];

const byteLevel: Json = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [
    added('<s>', 1),
    added('</s>', 2),
    added('<|mark|>', 256 + 3 + merged.length + 1, { special: false, lstrip: true, rstrip: true }),
  ],
  normalizer: { type: 'NFC' },
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      {
        type: 'Split',
        pattern: {
          Regex:
            "(?i:'s|'t|'re)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
        },
        behavior: 'Isolated',
        invert: false,
      },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
  post_processor: template,
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: vocabOf([...specials, ...byteCharacters, ...merged, '\u0120h']),
    merges: [...merges, '\u0120 h'],
  },
};

const sentencePiece: Json = {
  version: '1.0',
  added_tokens: specials.map((content, id) => added(content, id)),
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: '\u2581' },
      { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' },
    ],
  },
  pre_tokenizer: null,
  post_processor: template,
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      { type: 'Strip', content: ' ', start: 1, stop: 0 },
    ],
  },
  model: {
    type: 'BPE',
    unk_token: '<unk>',
    fuse_unk: true,
    byte_fallback: true,
    vocab: vocabOf([
      ...specials,
      ...Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`),
      '\u2581',
      ...letters,
      ...merged,
    ]),
    merges: merges.map((merge) => merge.split(' ')),
  },
};

const unigram: Json = {
  version: '1.0',
  added_tokens: specials.map((content, id) => added(content, id)),
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'NFKC' },
      { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' },
      { type: 'Strip', strip_left: false, strip_right: true },
    ],
  },
  pre_tokenizer: { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'always', split: true },
  post_processor: template,
  decoder: { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'always', split: true },
  model: {
    type: 'Unigram',
    unk_id: 0,
    byte_fallback: false,
    vocab: [
      ...specials.map((token) => [token, 0]),
      ['\u2581', -3.5],
      ...[...letters, ...merged].map((token, i) => [token, -4 - i / 8]),
    ],
  },
};

const wordPiece: Json = {
  version: '1.0',
  added_tokens: ['[UNK]', '[CLS]', '[SEP]'].map((content, id) => added(content, id)),
  normalizer: {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: { type: 'BertProcessing', sep: ['[SEP]', 2], cls: ['[CLS]', 1] },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: vocabOf([
      '[UNK]',
      '[CLS]',
      '[SEP]',
      ...letters,
      ...letters.map((c) => `##${c}`),
      'hello',
      '##llo',
      '.',
      '1',
      '##2',
    ]),
  },
};

const wordLevel: Json = {
  version: '1.0',
  added_tokens: [added('<unk>', 0), added('day', 3, { normalized: true, single_word: true, special: false })],
  normalizer: {
    type: 'Sequence',
    normalizers: [{ type: 'NFD' }, { type: 'StripAccents' }, { type: 'Lowercase' }],
  },
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Whitespace' },
      { type: 'Digits', individual_digits: true },
      { type: 'Punctuation', behavior: 'Isolated' },
    ],
  },
  post_processor: {
    type: 'RobertaProcessing',
    sep: ['<unk>', 0],
    cls: ['<unk>', 0],
    trim_offsets: true,
    add_prefix_space: false,
  },
  decoder: { type: 'BPEDecoder', suffix: '</w>' },
  model: {
    type: 'WordLevel',
    unk_token: '<unk>',
    vocab: vocabOf(['<unk>', 'hello', 'world', 'day', '1', '2', '.']),
  },
};

/** Tokenizers of our own making, one for each model type and each way of pre- and post-processing. */
export const tokenizers = { byteLevel, sentencePiece, unigram, wordPiece, wordLevel };
export type TokenizerName = keyof typeof tokenizers;
export const tokenizerNames = Object.keys(tokenizers) as TokenizerName[];
