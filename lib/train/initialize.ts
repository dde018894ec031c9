import { timeSlices } from '../exec/time_slices.js';
import type { Initialization } from '../models/family.js';
import { philox4x32 } from '../ops/sampling/philox.js';

export interface InitializeOptions extends Initialization {
  readonly seed: number;
  /** Standard deviation of matrices (`initializer_range`). */
  readonly deviation: number;
  readonly layers: number;
}

/** Of a family that says nothing. */
export const plainInitialization: Initialization = { ones: /norm\w*\.weight$/, residual: /(?!)/ };

/** FNV-1a over UTF-16 units: tells tensors' random streams apart. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/**
 * First numbers of a weight: norms 1, other vectors 0, matrices normal with GPT-2's deviations (Radford et al. 2019, section 2.3).
 * They depend on the seed, the name and the place in the tensor alone.
 */
export async function initialWeights(
  name: string,
  shape: readonly number[],
  { seed, deviation, layers, ones, residual }: InitializeOptions,
): Promise<Float32Array> {
  const weights = new Float32Array(shape.reduce((n, d) => n * d, 1));
  if (ones.test(name)) return weights.fill(1);
  if (shape.length < 2) return weights;
  const scale = residual.test(name) ? deviation / Math.sqrt(2 * layers) : deviation;
  const key = [seed >>> 0, hashOf(name)] as const;
  const pause = timeSlices();
  for (let i = 0; i < weights.length; i += 4) {
    const words = philox4x32([i / 4, Math.floor(seed / 2 ** 32), 0, 0], key);
    // Box and Muller 1958: two normal numbers from two uniform ones.
    for (const [at, a, b] of [
      [i, words[0], words[1]],
      [i + 2, words[2], words[3]],
    ] as const) {
      const radius = scale * Math.sqrt(-2 * Math.log((a + 0.5) / 2 ** 32));
      const angle = (2 * Math.PI * b) / 2 ** 32;
      weights[at] = radius * Math.cos(angle);
      weights[at + 1] = radius * Math.sin(angle);
    }
    if (i % 65536 === 0) await pause();
  }
  return weights;
}
