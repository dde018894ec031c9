import type { Bindings } from '../ir/shape.js';

/** Sizes that plans are made for. A plan serves every size up to its own; kernels do exactly the rows there are. */
const steps: readonly number[] = [1, 8, 64, 512];

/** The smallest plan size that holds n: 1, 8, 64, 512, then multiples of 512. */
export function bucketOf(n: number): number {
  return steps.find((s) => n <= s) ?? Math.ceil(n / 512) * 512;
}

/** Steps of the sides of a picture: of large ones that are much too large, the product would be that twice. */
const sideStep = 8;

/** Plan sizes of the given symbols; `sides` are those that multiply with one another. */
export const bucketsOf = (
  symbols: readonly string[],
  bindings: Bindings,
  sides: readonly string[] = [],
): Record<string, number> =>
  Object.fromEntries(
    symbols.map((s) => {
      const n = bindings[s] ?? 0;
      return [s, sides.includes(s) ? Math.ceil(n / sideStep) * sideStep : bucketOf(n)];
    }),
  );
