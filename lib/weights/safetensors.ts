import { endianness } from 'node:os';
import { dtypeBytes, type ElementType } from '../dtype.js';
import { ModelFormatError, throwIfAborted, UnsupportedError } from '../errors.js';
import { readFully, withFile } from './file_io.js';
import { isJsonObject, type JsonObject, parseJsonObject, show } from './json_file.js';

/** Where one tensor of a checkpoint lies. Elements are little-endian, row-major, without gaps. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  /** Path of the file that holds the elements. */
  readonly file: string;
  /** Absolute byte offset of the first element in that file. */
  readonly offset: number;
  /** Product of the shape times the bytes of one element. */
  readonly bytes: number;
}

export interface SafetensorsHeader {
  /** By name, in the order of their offsets. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The free text map `__metadata__`; empty if there is none. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** The format's own bound on the header, in bytes. */
export const maxHeaderBytes = 100_000_000;

/** Key of the text map among the header's tensors. */
export const metadataKey = '__metadata__';

/** The format's names of our element types. */
export const safetensorsNames = {
  f64: 'F64',
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
  i64: 'I64',
  i32: 'I32',
  i16: 'I16',
  i8: 'I8',
  u8: 'U8',
  bool: 'BOOL',
} as const satisfies Readonly<Record<ElementType, string>>;

const dtypes: ReadonlyMap<string, ElementType> = new Map(
  (Object.keys(safetensorsNames) as ElementType[]).map((dtype) => [safetensorsNames[dtype], dtype]),
);

/** Types that the format defines and triga has no arithmetic for. */
const foreignDtype = /^(U(16|32|64)|C64|F8_E(5M2|4M3|8M0|5M2FNUZ|4M3FNUZ)|F6_E(2M3|3M2)|F4)$/;

/** PyTorch's own bound on the number of dimensions. */
const maxRank = 64;

/** A header of a million tensors has about nine million values; real ones have thousands. */
const headerLimits = { maxDepth: 8, maxValues: 2 ** 24 };

/**
 * Parses and checks the header of a safetensors file. `bytes` are the file's first bytes (8 + header length, or more),
 * `fileSize` its whole length, `path` what messages call it. Layout: u64 header length n, little-endian; n bytes of
 * JSON, `{ name: { dtype, shape, data_offsets: [begin, end] } }`; data, which the tensors cover without overlap or hole.
 * Errors: ModelFormatError naming file, tensor, expected and got; UnsupportedError for an element type that we lack.
 * Source: https://github.com/huggingface/safetensors#format
 */
export function parseSafetensorsHeader(bytes: Uint8Array, fileSize: number, path: string): SafetensorsHeader {
  const length = headerLength(bytes, fileSize, path);
  const text = bytes.subarray(8, 8 + length);
  if (text.length < length) {
    throw new ModelFormatError(
      `${path}: expected ${length} header bytes, got ${text.length}: the file was cut short`,
    );
  }
  if (text[0] !== 0x7b) {
    throw new ModelFormatError(
      `${path}: expected a header that begins with '{', got byte ${text[0] ?? 'none'}`,
    );
  }
  const header = parseJsonObject(text, path, headerLimits);
  const dataStart = 8 + length;
  const infos: TensorInfo[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name !== metadataKey) infos.push(tensorInfo(name, entry, path, dataStart));
  }
  infos.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  checkCoverage(infos, dataStart, fileSize, path);
  return {
    tensors: new Map(infos.map((info) => [info.name, info])),
    metadata: textMap(header[metadataKey], path),
  };
}

/**
 * Reads and checks the header of a safetensors file; the data is not touched.
 * Errors: those of {@link parseSafetensorsHeader}; InvalidArgumentError if the file does not exist; AbortError.
 */
export function openSafetensors(
  path: string,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<SafetensorsHeader> {
  requireLittleEndian();
  throwIfAborted(options.signal);
  return withFile(path, async (file, size) => {
    const prefix = new Uint8Array(8);
    await readFully(file, prefix.subarray(0, Math.min(8, size)), 0, path);
    const bytes = new Uint8Array(8 + headerLength(prefix.subarray(0, Math.min(8, size)), size, path));
    await readFully(file, bytes, 0, path);
    throwIfAborted(options.signal);
    return parseSafetensorsHeader(bytes, size, path);
  });
}

/** Elements are read and written through typed arrays, which have the machine's byte order. UnsupportedError. */
export function requireLittleEndian(): void {
  if (endianness() !== 'LE')
    throw new UnsupportedError('safetensors: expected a little-endian machine, got a big-endian one');
}

/** Number of elements, or undefined where it, or its bytes, exceed 2^53 − 1. A zero does not excuse huge dimensions. */
export function checkedElementCount(shape: readonly number[], elementBytes: number): number | undefined {
  const size = shape.reduce((product, dim) => (dim === 0 ? product : product * dim), elementBytes);
  if (!Number.isSafeInteger(size)) return undefined;
  return shape.includes(0) ? 0 : size / elementBytes;
}

function headerLength(bytes: Uint8Array, fileSize: number, path: string): number {
  if (bytes.length < 8) {
    throw new ModelFormatError(
      `${path}: expected 8 bytes of header length, got a file of ${bytes.length} bytes`,
    );
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) {
    throw new ModelFormatError(
      `${path}: expected a header of at most ${maxHeaderBytes} bytes, got length ${length}`,
    );
  }
  if (8 + Number(length) > fileSize) {
    throw new ModelFormatError(
      `${path}: expected a header within the file's ${fileSize} bytes, got header length ${length}: the file was cut short`,
    );
  }
  return Number(length);
}

function tensorInfo(name: string, entry: unknown, path: string, dataStart: number): TensorInfo {
  const where = `${path}: tensor ${show(name)}`;
  if (!isJsonObject(entry)) {
    throw new ModelFormatError(`${where}: expected { dtype, shape, data_offsets }, got ${show(entry)}`);
  }
  const dtype = entryDtype(entry, where);
  const shape = naturals(entry.shape, `${where}: expected shape`);
  if (shape.length > maxRank) {
    throw new ModelFormatError(`${where}: expected at most ${maxRank} dimensions, got ${shape.length}`);
  }
  const offsets = naturals(entry.data_offsets, `${where}: expected data_offsets`);
  const [begin = 0, end = 0] = offsets;
  if (offsets.length !== 2 || begin > end) {
    throw new ModelFormatError(
      `${where}: expected data_offsets [begin, end] with begin <= end, got ${show(offsets)}`,
    );
  }
  const count = checkedElementCount(shape, dtypeBytes[dtype]);
  if (count === undefined) {
    throw new ModelFormatError(`${where}: expected fewer than 2^53 bytes, got shape ${show(shape)}`);
  }
  const bytes = count * dtypeBytes[dtype];
  if (end - begin !== bytes) {
    throw new ModelFormatError(
      `${where}: expected ${bytes} bytes for ${dtype}${show(shape)}, got ${end - begin} by data_offsets ${show(offsets)}`,
    );
  }
  return { name, dtype, shape, file: path, offset: dataStart + begin, bytes };
}

function entryDtype(entry: JsonObject, where: string): ElementType {
  const name = entry.dtype;
  const dtype = typeof name === 'string' ? dtypes.get(name) : undefined;
  if (dtype !== undefined) return dtype;
  const expected = [...dtypes.keys()].join(', ');
  if (typeof name === 'string' && foreignDtype.test(name)) {
    throw new UnsupportedError(
      `${where}: expected dtype ${expected}, got ${name}: convert the checkpoint to one of these`,
    );
  }
  throw new ModelFormatError(`${where}: expected dtype ${expected}, got ${show(name)}`);
}

/** A list of integers from 0 to 2^53 − 1. `-0` is none. */
function naturals(value: unknown, expected: string): readonly number[] {
  const isNatural = (x: unknown): x is number =>
    Number.isSafeInteger(x) && (x as number) >= 0 && !Object.is(x, -0);
  if (!Array.isArray(value) || !value.every(isNatural)) {
    throw new ModelFormatError(`${expected} to be a list of integers from 0 to 2^53 - 1, got ${show(value)}`);
  }
  return value;
}

/** Tensors in the order of their offsets must follow each other from the header's end to the file's end. */
function checkCoverage(
  infos: readonly TensorInfo[],
  dataStart: number,
  fileSize: number,
  path: string,
): void {
  let end = dataStart;
  for (const { name, offset, bytes } of infos) {
    if (offset + bytes > fileSize) {
      throw new ModelFormatError(
        `${path}: tensor ${show(name)}: expected its end within the file's ${fileSize} bytes, got ${offset + bytes}: the file was cut short`,
      );
    }
    if (offset !== end) {
      const what = offset < end ? 'it overlaps the tensor before it' : 'there is a hole before it';
      throw new ModelFormatError(
        `${path}: tensor ${show(name)}: expected its data at offset ${end - dataStart}, got ${offset - dataStart}: ${what}`,
      );
    }
    end = offset + bytes;
  }
  if (end !== fileSize) {
    throw new ModelFormatError(
      `${path}: expected ${end} bytes by the header, got ${fileSize}: bytes are left over`,
    );
  }
}

function textMap(value: unknown, path: string): ReadonlyMap<string, string> {
  if (value === undefined) return new Map();
  const entries = isJsonObject(value) ? Object.entries(value) : undefined;
  const isText = (entry: [string, unknown]): entry is [string, string] => typeof entry[1] === 'string';
  if (!entries?.every(isText)) {
    throw new ModelFormatError(
      `${path}: expected ${metadataKey} to map strings to strings, got ${show(value)}`,
    );
  }
  return new Map(entries);
}
