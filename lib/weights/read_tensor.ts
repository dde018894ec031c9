import { bf16ToNumber, dtypeBytes, type ElementType, f16ToNumber } from '../dtype.js';
import { OutOfMemoryError, throwIfAborted } from '../errors.js';
import { readFully, withFile } from './file_io.js';
import { show } from './json_file.js';
import { requireLittleEndian, type TensorInfo } from './safetensors.js';

export interface ReadTensorOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What the elements of a checkpoint tensor are read into: f16 and bf16 as their bits. */
export type TensorArray =
  | Float64Array
  | Float32Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array;

/** Small enough that converting one chunk keeps the event loop waiting for a few milliseconds at most. */
const chunkBytes = 256 * 1024;

const views: Readonly<
  Record<ElementType, new (buffer: ArrayBuffer, offset?: number, length?: number) => TensorArray>
> = {
  f64: Float64Array,
  f32: Float32Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  i64: BigInt64Array,
  i32: Int32Array,
  i16: Int16Array,
  i8: Int8Array,
  u8: Uint8Array,
  bool: Uint8Array,
};

/**
 * Reads a tensor's elements as float64, row-major. Integers beyond 2^53 are rounded; a boolean is 0 or 1.
 * With `transposed` a matrix that is stored as [K, N] is returned as [N, K].
 * Errors: ModelFormatError if the file was cut short since its header was read; OutOfMemoryError; AbortError.
 */
export async function readTensor(
  info: TensorInfo,
  options: ReadTensorOptions & { readonly transposed?: boolean | undefined } = {},
): Promise<Float64Array> {
  requireLittleEndian();
  const result = allocate(info, () => new Float64Array(info.bytes / dtypeBytes[info.dtype]));
  const [rows = 1, columns = 1] = info.shape;
  let done = 0;
  await readChunks(info, options, (chunk) => {
    if (options.transposed) {
      const values = new Float64Array(chunk.length);
      convert(chunk, info.dtype, values);
      scatterTransposed(values, done, rows, columns, result);
    } else {
      convert(chunk, info.dtype, result.subarray(done, done + chunk.length));
    }
    done += chunk.length;
  });
  return result;
}

/** Puts `values`, which are elements `first` and on of a [rows, columns] matrix, where [columns, rows] has them. */
function scatterTransposed(
  values: Float64Array,
  first: number,
  rows: number,
  columns: number,
  to: Float64Array,
): void {
  let row = Math.floor(first / columns);
  let column = first % columns;
  for (const value of values) {
    to[column * rows + row] = value;
    if (++column === columns) {
      column = 0;
      row++;
    }
  }
}

/** Reads a tensor's elements as they are stored. Errors: those of {@link readTensor}. */
export async function readTensorTyped(
  info: TensorInfo,
  options: ReadTensorOptions = {},
): Promise<TensorArray> {
  requireLittleEndian();
  const bytes = allocate(info, () => new Uint8Array(info.bytes));
  let done = 0;
  await readChunks(info, options, (chunk) => {
    bytes.set(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength), done);
    done += chunk.byteLength;
  });
  return new views[info.dtype](bytes.buffer);
}

/**
 * Passes a tensor's bytes to `use` piece by piece, as they are stored or with the elements as f32; a piece is valid until `use` ends.
 * Errors: those of {@link readTensor} but OutOfMemoryError.
 */
export async function streamTensor(
  info: TensorInfo,
  as: 'stored' | 'f32',
  use: (bytes: Uint8Array) => Promise<void>,
  options: ReadTensorOptions = {},
): Promise<void> {
  requireLittleEndian();
  await readChunks(info, options, async (chunk) => {
    const numbers = as === 'stored' || info.dtype === 'f32' ? chunk : toF32(chunk, info.dtype);
    await use(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
  });
}

function toF32(chunk: TensorArray, dtype: ElementType): Float32Array {
  if (dtype === 'bf16') {
    const bits = new Uint32Array(chunk.length);
    for (let i = 0; i < bits.length; i++) bits[i] = (chunk[i] as number) << 16;
    return new Float32Array(bits.buffer);
  }
  const exact = new Float64Array(chunk.length);
  convert(chunk, dtype, exact);
  return new Float32Array(exact);
}

/** Passes the elements to `use` piece by piece, all in one reused buffer. */
async function readChunks(
  info: TensorInfo,
  options: ReadTensorOptions,
  use: (chunk: TensorArray) => void | Promise<void>,
): Promise<void> {
  throwIfAborted(options.signal);
  await withFile(info.file, async (file) => {
    const buffer = new ArrayBuffer(Math.min(chunkBytes, info.bytes));
    for (let done = 0; done < info.bytes; done += chunkBytes) {
      const length = Math.min(chunkBytes, info.bytes - done);
      await readFully(file, new Uint8Array(buffer, 0, length), info.offset + done, info.file);
      throwIfAborted(options.signal);
      await use(new views[info.dtype](buffer, 0, length / dtypeBytes[info.dtype]));
    }
  });
}

function allocate<T>(info: TensorInfo, create: () => T): T {
  try {
    return create();
  } catch (error) {
    const what = `${info.file}: tensor ${show(info.name)}: expected memory for ${info.dtype}${show(info.shape)}`;
    throw new OutOfMemoryError(`${what}, got none`, { cause: error });
  }
}

let f16Table: Float64Array | undefined;

/** Every binary16 value by its bits: a lookup is several times faster than the arithmetic. */
function f16Values(): Float64Array {
  f16Table ??= Float64Array.from({ length: 2 ** 16 }, (_, bits) => f16ToNumber(bits));
  return f16Table;
}

function convert(from: TensorArray, dtype: ElementType, to: Float64Array): void {
  if (from instanceof BigInt64Array) {
    for (let i = 0; i < to.length; i++) to[i] = Number(from[i]);
  } else if (dtype === 'bf16') {
    for (let i = 0; i < to.length; i++) to[i] = bf16ToNumber(from[i] as number);
  } else if (dtype === 'f16') {
    const values = f16Values();
    for (let i = 0; i < to.length; i++) to[i] = values[from[i] as number] as number;
  } else if (dtype === 'bool') {
    for (let i = 0; i < to.length; i++) to[i] = from[i] === 0 ? 0 : 1;
  } else {
    to.set(from);
  }
}
