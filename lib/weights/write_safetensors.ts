import { dtypeBytes, type ElementType } from '../dtype.js';
import { InvalidArgumentError, throwIfAborted } from '../errors.js';
import { show } from './json_file.js';
import { replaceFile, writeFully } from './replace_file.js';
import {
  checkedElementCount,
  maxHeaderBytes,
  metadataKey,
  requireLittleEndian,
  safetensorsNames,
} from './safetensors.js';

/** A tensor to be written. */
export interface TensorSource {
  readonly name: string;
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  /** The elements' bytes (f16 and bf16 as their bits), or what computes them when their turn comes. */
  readonly data: ArrayBufferView | (() => Promise<ArrayBufferView>);
}

export interface WriteSafetensorsOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes a safetensors file: wider element types first, then by name, so that every tensor is aligned to its elements.
 * The file appears whole or not at all: it is written beside `path`, flushed to the disk, and renamed.
 * Errors: InvalidArgumentError for a tensor whose name, shape or data contradict each other and for a path that cannot
 * be written; AbortError; the system's own error where the disk is full or fails.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<TensorSource>,
  options: WriteSafetensorsOptions = {},
): Promise<void> {
  requireLittleEndian();
  const sorted = [...tensors].sort(
    (a, b) => dtypeBytes[b.dtype] - dtypeBytes[a.dtype] || (a.name < b.name ? -1 : Number(a.name > b.name)),
  );
  const header = encodeHeader(sorted, options.metadata ?? {}, path);
  throwIfAborted(options.signal);
  await replaceFile(path, async (file) => {
    await writeFully(file, header, options.signal);
    for (const tensor of sorted) {
      const data = typeof tensor.data === 'function' ? await tensor.data() : tensor.data;
      checkBytes(tensor, data, path);
      await writeFully(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), options.signal);
    }
  });
}

function encodeHeader(
  tensors: readonly TensorSource[],
  metadata: Readonly<Record<string, string>>,
  path: string,
): Uint8Array {
  const entries: string[] = [];
  if (Object.keys(metadata).length > 0) entries.push(`"${metadataKey}":${JSON.stringify(metadata)}`);
  const names = new Set([metadataKey]);
  let begin = 0;
  for (const tensor of tensors) {
    if (names.has(tensor.name)) {
      throw new InvalidArgumentError(
        `${path}: expected every tensor name once, got ${show(tensor.name)} again`,
      );
    }
    names.add(tensor.name);
    if (typeof tensor.data !== 'function') checkBytes(tensor, tensor.data, path);
    const end = begin + tensorBytes(tensor, path);
    const entry = { dtype: safetensorsNames[tensor.dtype], shape: tensor.shape, data_offsets: [begin, end] };
    entries.push(`${JSON.stringify(tensor.name)}:${JSON.stringify(entry)}`);
    begin = end;
  }
  const json = new TextEncoder().encode(`{${entries.join(',')}}`);
  const length = Math.ceil(json.length / 8) * 8; // data starts aligned
  if (length > maxHeaderBytes) {
    throw new InvalidArgumentError(
      `${path}: expected a header of at most ${maxHeaderBytes} bytes, got ${length}`,
    );
  }
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return header;
}

function tensorBytes({ name, dtype, shape }: TensorSource, path: string): number {
  const count = shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0)
    ? checkedElementCount(shape, dtypeBytes[dtype])
    : undefined;
  if (count === undefined) {
    throw new InvalidArgumentError(
      `${path}: tensor ${show(name)}: expected a shape of integers from 0, below 2^53 bytes in all, got ${show(shape)}`,
    );
  }
  return count * dtypeBytes[dtype];
}

function checkBytes(tensor: TensorSource, data: ArrayBufferView, path: string): void {
  const expected = tensorBytes(tensor, path);
  if (data.byteLength === expected) return;
  throw new InvalidArgumentError(
    `${path}: tensor ${show(tensor.name)}: expected ${expected} bytes for ${tensor.dtype}${show(tensor.shape)}, got ${data.byteLength}`,
  );
}
