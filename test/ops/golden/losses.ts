import type { Value } from '../../../lib/ir/value.js';
import { add, binary, mul, sub } from '../../../lib/ops/binary.js';
import { linear } from '../../../lib/ops/linear.js';
import { matmul } from '../../../lib/ops/matmul.js';
import { reshape } from '../../../lib/ops/reshape.js';
import { scalar } from '../../../lib/ops/scalar.js';
import { logSoftmax, softmax } from '../../../lib/ops/softmax.js';
import { transpose } from '../../../lib/ops/transpose.js';
import { unary } from '../../../lib/ops/unary.js';
import {
  type Build,
  div,
  logSumExp,
  meanAll,
  normalize,
  type Operands,
  oneHot,
  plus,
  shapeOf,
  softplus,
  square,
  sumAll,
  sumLast,
  times,
} from './operands.js';

const neg = (x: Value): Value => unary('neg', x);

/** Targets [N] as rows of [N, V]: 1 at the target's column, nothing where the target is −100. */
function targets(o: Operands, i: number, logits: Value): Value {
  const [n = 0, v = 0] = shapeOf(logits);
  return oneHot(reshape(o.x(i), [n, 1]), o.graph, v);
}

/** Mean of −log softmax at the targets, over the rows that have one. */
function crossEntropy(logits: Value, hot: Value): Value {
  return neg(div(sumAll(mul(hot, logSoftmax(logits))), sumAll(hot)));
}

/** Σ p · (log p − log q) / rows. */
const divergence = (logP: Value, logQ: Value): Value =>
  times(sumAll(mul(unary('exp', logP), sub(logP, logQ))), 1 / (shapeOf(logP)[0] as number));

export const losses: Readonly<Record<string, Build>> = {
  l1: (o) => meanAll(unary('abs', sub(o.x(0), o.x(1)))),
  mse: (o) => meanAll(square(sub(o.x(0), o.x(1)))),
  smooth_l1: (o) => {
    const d = unary('abs', sub(o.x(0), o.x(1)));
    const near = binary('less', d, scalar(d, 1));
    const far = sub(scalar(d, 1), near);
    return meanAll(add(mul(near, times(square(d), 0.5)), mul(far, plus(d, -0.5))));
  },
  bce_logits: (o) => meanAll(sub(softplus(o.x(0)), mul(o.x(0), o.x(1)))),
  cross_entropy_ignore: (o) => crossEntropy(o.x(0), targets(o, 1, o.x(0))),
  cross_entropy_smooth: (o) => {
    const hot = targets(o, 1, o.x(0));
    return crossEntropy(o.x(0), plus(times(hot, 0.9), 0.1 / 9));
  },
  cross_entropy_z: (o) =>
    add(crossEntropy(o.x(0), targets(o, 1, o.x(0))), times(meanAll(square(logSumExp(o.x(0)))), 0.01)),
  linear_cross_entropy: (o) => {
    const logits = linear(o.x(0), o.param(1));
    return crossEntropy(logits, targets(o, 2, logits));
  },
  nll_weight: (o) => crossEntropy(o.x(0), mul(targets(o, 1, o.x(0)), o.x(2))),
  kl_div_batchmean: (o) => {
    const p = softmax(o.x(1));
    return times(sumAll(mul(p, sub(unary('log', p), logSoftmax(o.x(0))))), 1 / 4);
  },
  kl_logits_T2: (o) => times(divergence(logSoftmax(times(o.x(1), 0.5)), logSoftmax(times(o.x(0), 0.5))), 4),
  info_nce: (o) => {
    const similar = matmul(normalize(o.x(0)), transpose(normalize(o.x(1)), [1, 0]));
    const logits = mul(similar, unary('exp', o.x(2)));
    const diagonal = o.graph.constant(
      'f32',
      [6, 6],
      Array.from({ length: 36 }, (_, i) => (i % 7 === 0 ? 1 : 0)),
    );
    const rows = neg(sumLast(mul(diagonal, logSoftmax(logits))));
    const columns = neg(sumLast(mul(diagonal, logSoftmax(transpose(logits, [1, 0])))));
    return times(meanAll(add(rows, columns)), 0.5);
  },
};
