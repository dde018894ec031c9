import { type ParamInfo, paramShape, readParam } from '../weights/param_source.js';
import { type ReadTensorOptions, streamTensor } from '../weights/read_tensor.js';

/**
 * Passes each row [K] of a matrix [N, K] to `use`, as f32 and in one array. The matrix is read in pieces, unless the file holds its
 * transpose. Errors: those of reading.
 */
export async function eachRow(
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
