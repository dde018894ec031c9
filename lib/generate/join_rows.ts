import { OutOfMemoryError } from '../errors.js';
import { timeSlices } from '../exec/time_slices.js';
import type { Tensor } from '../tensor.js';

/** Numbers copied at once: of a large vocabulary, the rows of a long text are gigabytes. */
const stretch = 2 ** 19;

/** Outputs of consecutive chunks as one tensor each. Rejects with OutOfMemoryError. */
export async function joinRows(
  parts: readonly Readonly<Record<string, Tensor>>[],
): Promise<Record<string, Tensor>> {
  const pause = timeSlices();
  const joined: Record<string, Tensor> = {};
  for (const name of Object.keys(parts[0] ?? {})) {
    const pieces = parts.map((p) => p[name] as Tensor);
    const [, ...inner] = (pieces[0] as Tensor).shape;
    const data = numbers(pieces.reduce((n, p) => n + p.data.length, 0));
    let at = 0;
    for (const piece of pieces) {
      for (let from = 0; from < piece.data.length; from += stretch) {
        data.set(piece.data.subarray(from, from + stretch), at + from);
        await pause();
      }
      at += piece.data.length;
    }
    const rows = pieces.reduce((n, p) => n + (p.shape[0] as number), 0);
    joined[name] = { dtype: 'f32', shape: [rows, ...inner], data };
  }
  return joined;
}

function numbers(count: number): Float32Array {
  try {
    return new Float32Array(count);
  } catch (cause) {
    throw new OutOfMemoryError(`logits: ${count} numbers need more memory than the system gives`, { cause });
  }
}
