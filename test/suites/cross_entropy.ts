import '../../lib/ops/cross_entropy.js';
import '../../lib/ops/cross_entropy_grad.js';
import '../../lib/ops/linear_cross_entropy.js';
import '../../lib/ops/linear_cross_entropy_grad.js';
import { type Draw, drawn, product, type Sample, type SampleInput } from './suite.js';

// Of one class nothing is left but rounding where labels are smoothed.
const cases = product([1, 7, 33, 1000, 5003], [0, 1, 20], [0, 0.1]).filter(([v, , s]) => v > 1 || s === 0);

/** Every third row is not counted. */
function labels(d: Draw, T: number, v: number): SampleInput {
  return d.i32(
    Array.from({ length: T }, (_, i) => (i % 3 === 2 ? -100 : Math.floor(d.next() * v))),
    ['T'],
  );
}
const suite = (grad: boolean): readonly Sample[] =>
  cases.map(([v, T, smoothing]) =>
    drawn(
      `[${T},${v}], smoothing ${smoothing}`,
      { T },
      (d) => ({
        logits: d.x(['T', v], { low: -8, high: 8 }),
        labels: labels(d, T, v),
        ...(grad ? { dloss: d.x(['T']) } : {}),
      }),
      { smoothing },
    ),
  );

export const crossEntropy: readonly Sample[] = suite(false);
export const crossEntropyGrad: readonly Sample[] = suite(true);

/** Also more rows than are in memory at once, and a part of them left over. */
const linearCases = [
  ...product([1, 7, 33], [1, 5, 48], [0, 1, 20], [0, 0.1]).filter(([v, , , s]) => v > 1 || s === 0),
  [19, 6, 600, 0.1],
] as const;

const ofLinear = (grad: boolean): readonly Sample[] =>
  linearCases.flatMap(([v, k, T, smoothing]) =>
    ([undefined, 'bf16'] as const).map((compute) =>
      drawn(
        `[${T},${k}] · [${v},${k}], smoothing ${smoothing}${compute ? ', bf16' : ''}`,
        { T },
        (d) => ({
          x: d.x(['T', k]),
          w: d.x([v, k]),
          labels: labels(d, T, v),
          ...(grad ? { dloss: d.x(['T']) } : {}),
        }),
        { smoothing, ...(compute && { compute }) },
      ),
    ),
  );

export const linearCrossEntropy: readonly Sample[] = ofLinear(false);
export const linearCrossEntropyGrad: readonly Sample[] = ofLinear(true);
