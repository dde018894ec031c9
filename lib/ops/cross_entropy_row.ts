/** A label that does not count. Shared with kernels/cpu/kernel_training.h. */
export const ignoredLabel = -100;

/** log Σ exp x of one row, in float64. */
export function logSumExpRow(x: Float64Array): number {
  const max = x.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return max + Math.log(x.reduce((sum, v) => sum + Math.exp(v - max), 0));
}
