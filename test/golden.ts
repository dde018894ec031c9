import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bf16ToNumber, f16ToNumber } from '../lib/dtype.js';

/** Outputs of the original implementations; not part of the repository, but beside it. */
export const goldenRoot = fileURLToPath(new URL('../../shared/golden', import.meta.url));

/** Trained models, which have golden cases of their own; beside the repository likewise. */
export const modelRoot = fileURLToPath(new URL('../../shared/models', import.meta.url));

/** Whether a golden case is there; a test that needs it is skipped, by name, where it is not. */
export const hasGolden = (name: string, root: string = goldenRoot): boolean =>
  existsSync(path.join(root, name, 'golden.json'));

export interface GoldenTensor {
  readonly shape: number[];
  readonly data: Float64Array;
}

export interface Golden<Json> {
  readonly json: Json;
  readonly tensors: Readonly<Record<string, GoldenTensor>>;
}

/** A number of each type that golden files hold, at a byte offset. */
const readers: Readonly<Record<string, readonly [number, (view: DataView, at: number) => number]>> = {
  F64: [8, (view, at) => view.getFloat64(at, true)],
  F32: [4, (view, at) => view.getFloat32(at, true)],
  F16: [2, (view, at) => f16ToNumber(view.getUint16(at, true))],
  BF16: [2, (view, at) => bf16ToNumber(view.getUint16(at, true))],
  I64: [8, (view, at) => Number(view.getBigInt64(at, true))],
  I32: [4, (view, at) => view.getInt32(at, true)],
  U8: [1, (view, at) => view.getUint8(at)],
  BOOL: [1, (view, at) => view.getUint8(at)],
};

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

/** All tensors of a safetensors file. */
export function readTensors(file: string): Record<string, GoldenTensor> {
  const bytes = readFileSync(file);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Header;
  const tensors: Record<string, GoldenTensor> = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [size, read] = readers[dtype] ?? [1, () => Number.NaN];
    const count = (data_offsets[1] - data_offsets[0]) / size;
    const data = Float64Array.from({ length: count }, (_, i) =>
      read(view, start + data_offsets[0] + i * size),
    );
    tensors[name] = { shape, data };
  }
  return tensors;
}

/** `golden.json` and all tensors of `golden.safetensors` of one case. */
export function readGolden<Json = Record<string, unknown>>(
  name: string,
  root: string = goldenRoot,
): Golden<Json> {
  const directory = path.join(root, name);
  const json = JSON.parse(readFileSync(path.join(directory, 'golden.json'), 'utf8')) as Json;
  return { json, tensors: readTensors(path.join(directory, 'golden.safetensors')) };
}
