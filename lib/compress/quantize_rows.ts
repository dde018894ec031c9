import { q8RowBytes, q8RowScales, q8Scales } from '../dtype.js';
import { type ParamInfo, paramShape, scaleError } from '../weights/param_source.js';
import type { ReadTensorOptions } from '../weights/read_tensor.js';
import { eachRow } from './each_row.js';

/** The int8 numbers [N, K] of a matrix in q8. Errors: those of reading. */
export async function q8Bytes(info: ParamInfo, options: ReadTensorOptions): Promise<Int8Array> {
  const [n, k] = paramShape(info) as [number, number];
  const bytes = new Int8Array(n * k);
  await eachRow(info, (row, i) => q8RowBytes(row, bytes.subarray(i * k, (i + 1) * k)), options);
  return bytes;
}

/**
 * The scales [N, ⌈K / 32⌉] of a matrix in q8, as the bits of f16. Errors: ModelFormatError for a number that q8 does not hold, and
 * those of reading.
 */
export async function q8ScaleBits(info: ParamInfo, options: ReadTensorOptions): Promise<Uint16Array> {
  const [n, k] = paramShape(info) as [number, number];
  const groups = q8Scales(k);
  const scales = new Uint16Array(n * groups);
  const check = (row: Float32Array, i: number): void => {
    const own = scales.subarray(i * groups, (i + 1) * groups);
    q8RowScales(row, own);
    if (own.some((bits) => (bits & 0x7c00) === 0x7c00)) throw scaleError(info, i);
  };
  await eachRow(info, check, options);
  return scales;
}
