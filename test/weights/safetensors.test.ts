import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ModelFormatError, TrigaError, UnsupportedError } from '../../lib/errors.js';
import { readTensor, readTensorTyped } from '../../lib/weights/read_tensor.js';
import { openSafetensors, parseSafetensorsHeader } from '../../lib/weights/safetensors.js';
import { directoryOf, f32File, failureOf, goldenRoot, hasGoldens, safetensorsBytes } from './fixtures.js';

const parse = (bytes: Uint8Array) => parseSafetensorsHeader(bytes, bytes.length, 'x.safetensors');
const entry = (dtype: unknown, shape: unknown, data_offsets: unknown) => ({ dtype, shape, data_offsets });

describe('a well-formed header', () => {
  test('gives dtype, shape and absolute offsets, in the order of the data', () => {
    const header = {
      b: entry('I64', [2], [4, 20]),
      __metadata__: { format: 'pt' },
      a: entry('BF16', [1, 2], [0, 4]),
      scalar: entry('F32', [], [20, 24]),
      empty: entry('F32', [0, 7], [20, 20]),
    };
    const bytes = safetensorsBytes(header, 24);
    const { tensors, metadata } = parse(bytes);
    const start = bytes.length - 24;
    expect([...tensors.keys()]).toEqual(['a', 'b', 'empty', 'scalar']);
    expect(tensors.get('b')).toEqual({
      name: 'b',
      dtype: 'i64',
      shape: [2],
      file: 'x.safetensors',
      offset: start + 4,
      bytes: 16,
    });
    expect(tensors.get('scalar')?.shape).toEqual([]);
    expect([...metadata]).toEqual([['format', 'pt']]);
  });

  test('may be empty, and padded with spaces', () => {
    expect(parse(safetensorsBytes('{}      ', 0)).tensors.size).toBe(0);
  });

  test('may name a tensor like a property of every object', () => {
    const text =
      '{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"toString":{"dtype":"U8","shape":[],"data_offsets":[1,2]}}';
    expect([...parse(safetensorsBytes(text, 2)).tensors.keys()]).toEqual(['__proto__', 'toString']);
  });
});

/** What is wrong, the header, bytes of data, and what the message has to say. */
const malformed: [string, unknown, number, RegExp][] = [
  [
    'overlap',
    { a: entry('F32', [2], [0, 8]), b: entry('F32', [2], [4, 12]) },
    12,
    /"b".*offset 8, got 4.*overlaps/,
  ],
  ['same data twice', { a: entry('F32', [1], [0, 4]), b: entry('F32', [1], [0, 4]) }, 4, /overlaps/],
  ['hole', { a: entry('F32', [1], [0, 4]), b: entry('F32', [1], [8, 12]) }, 12, /"b".*offset 4, got 8.*hole/],
  ['hole at the start', { a: entry('F32', [1], [4, 8]) }, 8, /hole/],
  ['bytes left over', { a: entry('F32', [1], [0, 4]) }, 5, /left over/],
  ['data cut short', { a: entry('F32', [2], [0, 8]) }, 7, /"a".*cut short/],
  ['misordered offsets', { a: entry('F32', [1], [4, 0]) }, 4, /"a".*begin <= end, got \[4, 0\]/],
  ['three offsets', { a: entry('F32', [1], [0, 4, 8]) }, 4, /data_offsets/],
  ['negative offset', { a: entry('F32', [1], [-4, 0]) }, 4, /data_offsets.*got \[-4, 0\]/],
  ['minus zero', '{"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}', 0, /shape/],
  ['fractional dimension', { a: entry('F32', [1.5], [0, 6]) }, 6, /shape.*got \[1.5\]/],
  ['negative dimension', { a: entry('F32', [-1], [0, 4]) }, 4, /shape.*got \[-1\]/],
  ['two negative dimensions', { a: entry('F32', [-1, -1], [0, 4]) }, 4, /shape/],
  ['huge dimension', '{"a":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,4]}}', 4, /shape/],
  ['infinite dimension', '{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}}', 4, /got \[Infinity\]/],
  ['product that overflows', { a: entry('F32', [2 ** 40, 2 ** 40], [0, 4]) }, 4, /"a".*2\^53/],
  ['product that wraps to 0 in 64 bits', { a: entry('F32', [2 ** 32, 2 ** 32], [0, 0]) }, 0, /2\^53/],
  ['overflow hidden by a zero', { a: entry('F32', [0, 2 ** 40, 2 ** 40], [0, 0]) }, 0, /2\^53/],
  ['byte length', { a: entry('F16', [3], [0, 4]) }, 4, /"a".*expected 6 bytes for f16\[3\], got 4/],
  ['too many dimensions', { a: entry('U8', new Array(65).fill(1), [0, 1]) }, 1, /64 dimensions, got 65/],
  ['unknown dtype', { a: entry('F33', [1], [0, 4]) }, 4, /"a".*dtype.*"F33"/],
  ['dtype of an object property', { a: entry('constructor', [1], [0, 4]) }, 4, /dtype/],
  ['dtype no string', { a: entry(32, [1], [0, 4]) }, 4, /dtype.*got 32/],
  ['no shape', { a: { dtype: 'F32', data_offsets: [0, 4] } }, 4, /shape.*got undefined/],
  ['shape a string', { a: entry('F32', '1', [0, 4]) }, 4, /shape/],
  ['entry null', { a: null }, 0, /"a".*got null/],
  ['entry a list', { a: [] }, 0, /"a"/],
  ['metadata of numbers', { __metadata__: { a: 1 } }, 0, /__metadata__/],
  ['metadata a list', { __metadata__: [] }, 0, /__metadata__/],
  [
    'duplicate tensor',
    '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
    1,
    /"a" twice/,
  ],
  [
    'duplicate by escape',
    '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
    2,
    /"a" twice/,
  ],
  [
    'duplicate field',
    '{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}',
    1,
    /"dtype" twice/,
  ],
  ['root a list', '[]', 0, /begins with '\{'/],
  ['leading space', ' {}', 0, /begins with '\{'/],
  ['no JSON', '{"a":', 0, /JSON/],
  ['two roots', '{}{}', 0, /JSON/],
  ['deep nesting', `{"a":${'['.repeat(100_000)}`, 0, /levels of nesting/],
  ['very many values', `{"a":[${'0,'.repeat(2 ** 24)}0]}`, 0, /JSON values/],
  ['no header', '', 0, /begins with '\{', got byte none/],
];

describe('a malformed header is a ModelFormatError that says what is wrong:', () => {
  test.each(malformed)('%s', async (_, header, dataBytes, message) => {
    const error = await failureOf(() => parse(safetensorsBytes(header, dataBytes)));
    expect(error).toBeInstanceOf(ModelFormatError);
    expect(String(error)).toMatch(message);
    expect(String(error)).toContain('x.safetensors: ');
    expect(String(error).length).toBeLessThan(500);
  });

  test('bytes that are not UTF-8', () => {
    const bytes = safetensorsBytes('{"a?":1}', 0);
    bytes[11] = 0xff;
    expect(() => parse(bytes)).toThrow(/UTF-8/);
  });

  test.each([
    ['beyond the file', 1000n, /within the file's \d+ bytes, got header length 1000/],
    ['beyond the format', 100_000_001n, /at most 100000000/],
    ['all bits set', 2n ** 64n - 1n, /at most 100000000/],
  ])('a header length %s', (_, length, message) => {
    expect(() => parse(safetensorsBytes({}, 10, length))).toThrow(message);
  });

  test('a file below 8 bytes', () => {
    expect(() => parse(new Uint8Array(7))).toThrow(/8 bytes of header length/);
  });

  test('an element type that the format has and we have not is UnsupportedError', () => {
    expect(() => parse(safetensorsBytes({ a: entry('F8_E4M3', [1], [0, 1]) }, 1))).toThrow(UnsupportedError);
  });
});

/** A valid file, spoiled by replacing, inserting and removing bytes and numbers. */
const spoiled = fc
  .record({
    edits: fc.array(
      fc.record({
        at: fc.double({ min: 0, max: 1, noNaN: true }),
        remove: fc.nat(3),
        insert: fc.oneof(
          fc.constantFrom(
            '0',
            '-',
            '"',
            '[',
            ']',
            '{',
            '}',
            ',',
            ':',
            '\\',
            '9'.repeat(20),
            '1e999',
            'null',
            ' ',
          ),
          fc.string({ maxLength: 3 }),
        ),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    dataBytes: fc.integer({ min: 60, max: 68 }),
    length: fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { nil: undefined, freq: 10 }),
  })
  .map(({ edits, dataBytes, length }) => {
    const header = {
      a: entry('F32', [3, 4], [0, 48]),
      __metadata__: { format: 'pt' },
      b: entry('BF16', [8], [48, 64]),
    };
    let text = JSON.stringify(header);
    for (const { at, remove, insert } of edits) {
      const i = Math.floor(at * text.length);
      text = text.slice(0, i) + insert + text.slice(i + remove);
    }
    return safetensorsBytes(text, dataBytes, length);
  });

describe('mutations', () => {
  const check = (bytes: Uint8Array) => {
    try {
      let end = 0;
      for (const { offset, bytes: size } of parse(bytes).tensors.values()) end = Math.max(end, offset + size);
      expect(end).toBeLessThanOrEqual(bytes.length);
    } catch (error) {
      expect(error).toBeInstanceOf(TrigaError);
    }
  };

  test('of a header give a TrigaError or tensors within the file', () => {
    fc.assert(fc.property(spoiled, check), { numRuns: 3000 });
  });

  test('to arbitrary bytes give a TrigaError or tensors within the file', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), check), { numRuns: 1000 });
  });
});

describe('openSafetensors', () => {
  test('reads what parseSafetensorsHeader reads', async () => {
    const bytes = f32File({ a: [2, 3], b: [4] });
    const path = join(await directoryOf({ 'a.safetensors': bytes }), 'a.safetensors');
    expect(await openSafetensors(path)).toEqual(parseSafetensorsHeader(bytes, bytes.length, path));
  });

  test('a file cut short anywhere is a ModelFormatError', async () => {
    const bytes = f32File({ a: [2, 3] });
    const path = join(await directoryOf({ 'a.safetensors': bytes }), 'a.safetensors');
    for (let length = bytes.length - 1; length >= 0; length -= 7) {
      await writeFile(path, bytes.subarray(0, length));
      expect(await failureOf(() => openSafetensors(path))).toBeInstanceOf(ModelFormatError);
    }
  });

  test('a missing file, a directory, an aborted call', async () => {
    const directory = await directoryOf({ 'a.safetensors': f32File({}) });
    await expect(openSafetensors(join(directory, 'b'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(openSafetensors(directory)).rejects.toMatchObject({ code: 'MODEL_FORMAT' });
    const signal = AbortSignal.abort();
    expect(
      await failureOf(() => openSafetensors(join(directory, 'a.safetensors'), { signal })),
    ).toMatchObject({
      name: 'AbortError',
    });
  });

  test.skipIf(!hasGoldens)('reads all 610 tensors of the largest golden', async () => {
    const { tensors } = await openSafetensors(join(goldenRoot, 'ops', 'golden.safetensors'));
    expect(tensors.size).toBe(610);
  });
});

describe('readTensor', () => {
  /** One tensor whose data are these bytes. */
  async function stored(dtype: string, shape: number[], data: ArrayBufferView) {
    const bytes = safetensorsBytes({ a: entry(dtype, shape, [0, data.byteLength]) }, data.byteLength);
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), bytes.length - data.byteLength);
    const path = join(await directoryOf({ 'a.safetensors': bytes }), 'a.safetensors');
    const info = (await openSafetensors(path)).tensors.get('a');
    if (info === undefined) throw new Error('no tensor a');
    return { path, info };
  }

  test.each<[string, ArrayBufferView, number[]]>([
    ['F64', Float64Array.of(Math.PI, -0), [Math.PI, -0]],
    ['F32', Float32Array.of(0.1, Number.POSITIVE_INFINITY), [Math.fround(0.1), Number.POSITIVE_INFINITY]],
    ['F16', Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff), [1, -2, 2 ** -24, 65504]],
    ['BF16', Uint16Array.of(0x3f80, 0xc000, 0x0001), [1, -2, 2 ** -133]],
    ['I64', BigInt64Array.of(-1n, 2n ** 53n), [-1, 2 ** 53]],
    ['I32', Int32Array.of(-(2 ** 31), 7), [-(2 ** 31), 7]],
    ['I16', Int16Array.of(-32768, 7), [-32768, 7]],
    ['I8', Int8Array.of(-128, 7), [-128, 7]],
    ['U8', Uint8Array.of(255, 7), [255, 7]],
    ['BOOL', Uint8Array.of(0, 1, 2), [0, 1, 1]],
  ])('%s becomes float64', async (dtype, data, expected) => {
    const { info } = await stored(dtype, [expected.length], data);
    expect([...(await readTensor(info))]).toEqual(expected);
  });

  test('joins chunks, also at an offset that no element size divides, and transposes', async () => {
    const [rows, columns] = [257, 1031];
    const values = Float32Array.from({ length: rows * columns }, (_, i) => i);
    const header = {
      odd: entry('U8', [3], [0, 3]),
      a: entry('F32', [rows, columns], [3, 3 + values.byteLength]),
    };
    const bytes = safetensorsBytes(header, 3 + values.byteLength);
    bytes.set(new Uint8Array(values.buffer), bytes.length - values.byteLength);
    const path = join(await directoryOf({ 'a.safetensors': bytes }), 'a.safetensors');
    const info = (await openSafetensors(path)).tensors.get('a');
    if (info === undefined) throw new Error('no tensor a');
    // Compared by hand: vitest takes seconds for arrays of this length.
    expect((await readTensor(info)).every((x, i) => x === values[i])).toBe(true);
    expect((await readTensorTyped(info)).every((x, i) => x === values[i])).toBe(true);
    const transposed = await readTensor(info, { transposed: true }); // [columns, rows]
    const wrong = transposed.findIndex((x, i) => x !== (i % rows) * columns + Math.floor(i / rows));
    expect(wrong).toBe(-1);
  });

  test('a file cut short since its header was read is a ModelFormatError', async () => {
    const { path, info } = await stored('F32', [1000], new Float32Array(1000));
    await truncate(path, (await readFile(path)).length - 1);
    await expect(readTensor(info)).rejects.toMatchObject({ code: 'MODEL_FORMAT', message: /cut short/ });
  });

  test('an aborted read is an AbortError, one too large for memory OutOfMemoryError', async () => {
    const { info } = await stored('F32', [4], new Float32Array(4));
    await expect(readTensor(info, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
    const huge = { ...info, shape: [2 ** 50], bytes: 2 ** 52 };
    await expect(readTensor(huge)).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
  });
});
