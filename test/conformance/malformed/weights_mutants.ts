import {
  checkpointOf,
  type FamilyName,
  type Files,
  fileOf,
  type Weights,
  weightsName,
  weightsOf,
} from './bases.js';
import { jsonText, put, Raw } from './json_text.js';
import type { Mutant } from './mutant.js';

const base = weightsOf('llama');
const [first, second] = Object.keys(base.header) as [string, string];
const firstEntry = base.header[first] as Weights['header'][string];
const secondEntry = base.header[second] as Weights['header'][string];
const text = jsonText(base.header);

const withFile = (bytes: Uint8Array, family: FamilyName = 'llama'): Files => ({
  ...checkpointOf(family),
  [weightsName]: bytes,
});

function mutant(
  harm: string,
  what: string,
  header: unknown,
  says: readonly (string | RegExp)[],
  { data = base.data, length }: { readonly data?: Uint8Array; readonly length?: bigint } = {},
): Mutant {
  const bytes = (): Uint8Array =>
    fileOf(typeof header === 'string' ? header : jsonText(header), data, length);
  return {
    group: `safetensors: ${harm}`,
    what,
    files: () => withFile(bytes()),
    outcome: 'error',
    file: weightsName,
    says: [weightsName, ...says],
  };
}

const entry = (changes: object): unknown => put(base.header, [first], { ...firstEntry, ...changes });
const bytes = base.data.length;

function offsets(): Mutant[] {
  const [begin = 0, end = 0] = firstEntry.data_offsets;
  const [, secondEnd = 0] = secondEntry.data_offsets;
  const cases: [string, unknown, readonly (string | RegExp)[]][] = [
    [
      'overlap by 4',
      put(base.header, [second], { ...secondEntry, data_offsets: [end - 4, secondEnd - 4] }),
      [/overlaps/],
    ],
    [
      'two tensors in one place',
      put(base.header, [second], { ...secondEntry, data_offsets: [begin, begin + secondEnd - end] }),
      [/overlaps|hole/],
    ],
    [
      'a hole',
      put(base.header, [second], { ...secondEntry, data_offsets: [end + 4, secondEnd + 4] }),
      [/hole|overlaps/],
    ],
    ['misordered', entry({ data_offsets: [end, begin] }), [first, 'data_offsets']],
    ['beyond the file', entry({ data_offsets: [bytes, bytes + end - begin] }), [/cut short|hole|overlaps/]],
    ['all beyond 2^52', entry({ data_offsets: [2 ** 52, 2 ** 52 + end - begin] }), [/hole|overlaps/]],
    [
      'sum that overflows 64 bits',
      entry({ data_offsets: [new Raw('18446744073709551608'), 8] }),
      [first, 'data_offsets'],
    ],
    ['negative', entry({ data_offsets: [-8, end - 8] }), [first, 'data_offsets']],
    ['-2^63', entry({ data_offsets: [new Raw('-9223372036854775808'), end] }), [first, 'data_offsets']],
    ['fraction', entry({ data_offsets: [0.5, end + 0.5] }), [first, 'data_offsets']],
    ['infinite', entry({ data_offsets: [0, new Raw('1e999')] }), [first, 'data_offsets']],
    ['text', entry({ data_offsets: ['0', String(end)] }), [first, 'data_offsets']],
    ['one', entry({ data_offsets: [end] }), [first, 'data_offsets']],
    ['three', entry({ data_offsets: [begin, end, end] }), [first, 'data_offsets']],
    ['none', entry({ data_offsets: undefined }), [first, 'data_offsets']],
    ['null', entry({ data_offsets: null }), [first, 'data_offsets']],
    ['nested', entry({ data_offsets: [[begin], [end]] }), [first, 'data_offsets']],
    [
      'too many bytes for the shape',
      entry({ data_offsets: [begin, end + 4] }),
      [first, /expected \d+ bytes/],
    ],
    ['too few bytes for the shape', entry({ data_offsets: [begin, end - 4] }), [first, /expected \d+ bytes/]],
  ];
  return cases.map(([what, header, says]) => mutant('offsets', what, header, says));
}

function lengths(): Mutant[] {
  const cases: [string, bigint][] = [
    ['0', 0n],
    ['1', 1n],
    ['one less', BigInt(text.length - 1)],
    ['one more', BigInt(text.length + 1)],
    ['half', BigInt(text.length >> 1)],
    ['the whole file', BigInt(text.length + bytes)],
    ['the file and 8', BigInt(text.length + bytes + 8)],
    ['1 GiB', 2n ** 30n],
    ['2^31', 2n ** 31n],
    ['2^32', 2n ** 32n],
    ['2^53', 2n ** 53n],
    ['2^63 − 1', 2n ** 63n - 1n],
    ['−1 as i64', -1n],
    ['−8 as i64', -8n],
    ['−2^63 as i64', -(2n ** 63n)],
    ['above the format’s bound', 100_000_001n],
  ];
  return cases.map(([what, length]) =>
    mutant('header length', what, text, [/header|JSON|cut short|bytes/], { length }),
  );
}

function headerTexts(): Mutant[] {
  const cases: [string, string][] = [
    ['nothing', ''],
    ['spaces', '        '],
    ['a list', '[]'],
    ['a number', '7'],
    ['null', 'null'],
    ['a word', 'hello world'],
    ['an open brace', '{'],
    ['cut short', text.slice(0, -3)],
    ['two objects', `${text}{}`],
    ['a byte order mark', `\ufeff${text}`],
    ['a trailing comma', `${text.slice(0, -1)},}`],
    ['single quotes', text.replaceAll('"', "'")],
    ['a comment', `{/* */${text.slice(1)}`],
    ['100,000 levels', `{"a":${'['.repeat(100_000)}`],
    ['a long string', `{"a":"${'x'.repeat(2 ** 20)}"}`],
    ['a million keys', `{${Array.from({ length: 200_000 }, (_, i) => `"${i}":0`).join()}}`],
    ['control characters', text.replace('"', '"\u0001')],
    ['zeros', '\0'.repeat(64)],
  ];
  return cases.map(([what, header]) => mutant('header text', what, header, []));
}

function dtypes(): Mutant[] {
  const wrong: unknown[] = [
    'F33',
    '',
    'f32',
    'F32 ',
    'constructor',
    '__proto__',
    32,
    null,
    undefined,
    ['F32'],
    {},
  ];
  const foreign = ['F8_E4M3', 'F8_E5M2', 'U16', 'U32', 'U64', 'C64', 'F4'];
  const otherSize = ['F64', 'F16', 'BF16', 'I64', 'I16', 'I8', 'U8', 'BOOL'];
  return [
    ...wrong.map((dtype) => mutant('dtype', `unknown: ${String(dtype)}`, entry({ dtype }), [first, 'dtype'])),
    ...foreign.map((dtype) =>
      mutant('dtype', `one that we lack: ${dtype}`, entry({ dtype }), [first, dtype]),
    ),
    ...otherSize.map((dtype) =>
      mutant('dtype', `of another size: ${dtype}`, entry({ dtype }), [first, /expected \d+ bytes/]),
    ),
    mutant('dtype', 'integers of the same size', entry({ dtype: 'I32' }), [first, 'i32']),
    mutant(
      'dtype',
      'F64 in place of two F32',
      entry({ dtype: 'F64', shape: firstEntry.shape.map((d, i) => (i ? d / 2 : d)) }),
      [first],
    ),
  ];
}

function duplicates(): Mutant[] {
  const again = (key: string, value: unknown): string =>
    `${text.slice(0, -1)},${JSON.stringify(key)}:${jsonText(value)}}`;
  const twice = (field: string, value: unknown): Raw =>
    new Raw(`${jsonText(firstEntry).slice(0, -1)},"${field}":${jsonText(value)}}`);
  return [
    mutant('duplicate key', 'a tensor, alike', again(first, firstEntry), [first, 'twice']),
    mutant('duplicate key', 'a tensor, of another place', again(first, secondEntry), [first, 'twice']),
    mutant(
      'duplicate key',
      'by an escape',
      `${text.slice(0, -1)},"\\u006d${first.slice(1)}":${jsonText(firstEntry)}}`,
      [first, 'twice'],
    ),
    ...(['dtype', 'shape', 'data_offsets'] as const).map((field) =>
      mutant('duplicate key', `field ${field}`, put(base.header, [first], twice(field, firstEntry[field])), [
        field,
        'twice',
      ]),
    ),
    mutant('duplicate key', '__metadata__', `{"__metadata__":{},"__metadata__":{},${text.slice(1)}`, [
      '__metadata__',
      'twice',
    ]),
  ];
}

function shapes(): Mutant[] {
  const [rows = 1, columns = 1] = firstEntry.shape;
  const cases: [string, unknown][] = [
    ['negative', [-rows, columns]],
    ['two negatives', [-rows, -columns]],
    ['minus zero', [new Raw('-0'), columns]],
    ['fraction', [rows + 0.5, columns]],
    ['a half and a double', [rows * 2, columns / 2 + 0.5]],
    ['NaN', [new Raw('NaN'), columns]],
    ['infinite', [new Raw('1e999'), columns]],
    ['2^53', [2 ** 53, columns]],
    ['2^63', [new Raw('9223372036854775808'), columns]],
    ['10^30', [new Raw('1000000000000000000000000000000'), columns]],
    ['a product of 2^80', [2 ** 40, 2 ** 40]],
    ['a product that wraps to the size in 64 bits', [2 ** 32 * rows + 1, 2 ** 32]],
    ['a product that wraps to 0', [2 ** 32, 2 ** 32]],
    ['an overflow behind a zero', [0, 2 ** 40, 2 ** 40]],
    ['zero', [0, columns]],
    ['transposed', [columns, rows]],
    ['flat', [rows * columns]],
    ['an axis more', [1, rows, columns]],
    ['no axis', []],
    ['65 axes', new Array(65).fill(1)],
    ['text', `${rows},${columns}`],
    ['texts', [String(rows), String(columns)]],
    ['null', null],
    ['absent', undefined],
    ['an object', { 0: rows, 1: columns }],
    ['nested', [[rows, columns]]],
    ['a million axes', new Array(200_000).fill(1)],
  ];
  return cases.map(([what, shape]) =>
    mutant('shape', what, entry({ shape }), [what === 'NaN' ? 'JSON' : first]),
  );
}

function entries(): Mutant[] {
  const { [first]: _, ...missing } = base.header;
  const cases: [string, unknown, readonly (string | RegExp)[]][] = [
    ['null', put(base.header, [first], null), [first]],
    ['a list', put(base.header, [first], []), [first]],
    ['a number', put(base.header, [first], 5), [first]],
    ['a text', put(base.header, [first], 'x'), [first]],
    ['empty', put(base.header, [first], {}), [first]],
    ['a tensor less', missing, [/hole|left over/]],
    ['no tensors', {}, [/left over/]],
    ['metadata of numbers', { __metadata__: { a: 1 }, ...base.header }, ['__metadata__']],
    ['metadata a list', { __metadata__: [], ...base.header }, ['__metadata__']],
    ['metadata null', { __metadata__: null, ...base.header }, ['__metadata__']],
  ];
  const data: [string, Uint8Array][] = [
    ['data cut short by 1', base.data.subarray(0, -1)],
    ['data cut in half', base.data.subarray(0, bytes >> 1)],
    ['no data', base.data.subarray(0, 0)],
    ['a byte more', Buffer.concat([base.data, Buffer.alloc(1)])],
    ['a kilobyte more', Buffer.concat([base.data, Buffer.alloc(1024)])],
  ];
  return [
    ...cases.map(([what, header, says]) => mutant('entries', what, header, says)),
    // Sound by itself: it lacks what config.json asks for.
    {
      ...mutant('entries', 'a tensor renamed', new Raw(text.replace(first, `${first}x`)), []),
      says: ['config.json', first],
    },
    ...data.map(([what, more]) => mutant('entries', what, text, [/bytes/], { data: more })),
    ...[0, 1, 7].map(
      (length): Mutant => ({
        group: 'safetensors: entries',
        what: `a file of ${length} bytes`,
        files: () => withFile(Buffer.alloc(length)),
        outcome: 'error',
        file: weightsName,
        says: [weightsName, /8 bytes/],
      }),
    ),
  ];
}

/** The classes of harm that a safetensors header can come to. */
export const weightsMutants = (): Mutant[] => [
  ...offsets(),
  ...lengths(),
  ...headerTexts(),
  ...dtypes(),
  ...duplicates(),
  ...shapes(),
  ...entries(),
];
