import type { Value } from '../../../lib/ir/value.js';
import { activation } from '../../../lib/ops/activation.js';
import { add, binary, mul, sub } from '../../../lib/ops/binary.js';
import { concat } from '../../../lib/ops/concat.js';
import { matmul } from '../../../lib/ops/matmul.js';
import { meanLast } from '../../../lib/ops/mean_last.js';
import { reduce } from '../../../lib/ops/reduce.js';
import { scalar } from '../../../lib/ops/scalar.js';
import { slice } from '../../../lib/ops/slice.js';
import { logSoftmax, softmax } from '../../../lib/ops/softmax.js';
import { transpose } from '../../../lib/ops/transpose.js';
import { unary } from '../../../lib/ops/unary.js';
import {
  type Build,
  div,
  logSumExp,
  normalize,
  plus,
  shapeOf,
  softplus,
  square,
  sumLast,
  times,
} from './operands.js';

const min = (x: Value, c: number): Value => binary('min', x, scalar(x, c));
const max = (x: Value, c: number): Value => binary('max', x, scalar(x, c));
const variance = (x: Value): Value => meanLast(square(sub(x, meanLast(x))));

/** Running products along an axis. */
function products(x: Value, axis: number): Value[] {
  const found: Value[] = [];
  for (let i = 0; i < (shapeOf(x)[axis] as number); i++) {
    const factor = slice(x, axis, i, i + 1);
    found.push(found.length > 0 ? mul(found.at(-1) as Value, factor) : factor);
  }
  return found;
}

export const elementwise: Readonly<Record<string, Build>> = {
  u_exp: (o) => unary('exp', o.x(0)),
  u_tanh: (o) => unary('tanh', o.x(0)),
  u_erf: (o) => unary('erf', o.x(0)),
  u_sigmoid: (o) => unary('sigmoid', o.x(0)),
  u_relu: (o) => unary('relu', o.x(0)),
  u_rsqrt_abs: (o) => unary('rsqrt', plus(unary('abs', o.x(0)), 0.1)),
  u_silu: (o) => activation('silu', o.x(0)),
  u_gelu: (o) => activation('gelu', o.x(0)),
  u_gelu_tanh: (o) => activation('gelu_tanh', o.x(0)),
  u_quick_gelu: (o) => activation('quick_gelu', o.x(0)),
  u_elu: (o) => add(unary('relu', o.x(0)), plus(unary('exp', min(o.x(0), 0)), -1)),
  u_hardswish: (o) => times(mul(o.x(0), min(max(plus(o.x(0), 3), 0), 6)), 1 / 6),
  u_leaky_relu_0_2: (o) => binary('max', o.x(0), times(o.x(0), 0.2)),
  u_softplus: (o) => softplus(o.x(0)),
  u_mish: (o) => mul(o.x(0), unary('tanh', softplus(o.x(0)))),

  u_softmax_1: (o) => softmax(o.x(0), 1),
  u_softmax_last: (o) => softmax(o.x(0)),
  u_log_softmax: (o) => logSoftmax(o.x(0)),
  u_logsumexp: (o) => logSumExp(o.x(0)),
  u_amax: (o) => reduce('max', o.x(0), -1),
  u_mean_1: (o) => times(reduce('sum', o.x(0), 1), 1 / 7),
  u_norm2: (o) => unary('sqrt', sumLast(square(o.x(0)))),
  u_var_biased: (o) => variance(o.x(0)),
  u_var_unbiased: (o) => times(variance(o.x(0)), 19 / 18),
  u_prod: (o) => products(o.x(0), 2).at(-1) as Value,
  u_cumprod: (o) => products(o.x(0), 1).reduce((a, b) => concat(a, b, 1)),
  // A lower triangle of ones times x.
  u_cumsum: (o) => {
    const ones = Array.from({ length: 49 }, (_, i) => (i % 7 <= Math.floor(i / 7) ? 1 : 0));
    return matmul(o.graph.constant('f32', [7, 7], ones), o.x(0));
  },

  normalize: (o) => normalize(o.x(0)),
  cosine_similarity: (o) => {
    const norm = (x: Value): Value => unary('sqrt', sumLast(square(x)));
    return div(sumLast(mul(o.x(0), o.x(1))), max(mul(norm(o.x(0)), norm(o.x(1))), 1e-8));
  },
  glu: (o) => mul(slice(o.x(0), -1, 0, 4), activation('sigmoid', slice(o.x(0), -1, 4, 8))),

  matmul_bcast: (o) => matmul(o.x(0), o.x(1)),
  bmm: (o) => matmul(o.x(0), o.x(1)),
  einsum_bhqk: (o) => matmul(transpose(o.x(0), [0, 2, 1, 3]), transpose(o.x(1), [0, 2, 3, 1])),
};
