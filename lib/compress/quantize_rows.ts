import { q8RowBytes, q8RowScales, q8Scales } from '../dtype.js';
import { type ParamInfo, paramShape, readParam, scaleError } from '../weights/param_source.js';
import { type ReadTensorOptions, streamTensor } from '../weights/read_tensor.js';

/**
 * Passes each row [K] of a matrix [N, K] to `use`, as f32 and in one array. The matrix is read in pieces, unless the file holds its
 * transpose. Errors: those of reading.
 */
async function eachRow(
  info: ParamInfo,
  use: (row: Float32Array, n: number) => void,
  options: ReadTensorOptions,
): Promise<void> {
  const row = new Float32Array(paramShape(info)[1] as number);
  let filled = 0;
  let n = 0;
  const push = (numbers: Float32Array): void => {
    for (let at = 0; at < numbers.length; ) {
      const piece = numbers.subarray(at, at + row.length - filled);
      row.set(piece, filled);
      at += piece.length;
      filled += piece.length;
      if (filled < row.length) break;
      filled = 0;
      use(row, n++);
    }
  };
  if (info.transposed) push(new Float32Array(await readParam(info, options)));
  else
    await streamTensor(
      info,
      'f32',
      async (piece) => push(new Float32Array(piece.buffer, piece.byteOffset, piece.byteLength / 4)),
      options,
    );
}

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
