import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape, ShapeError, showType } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { add } from './binary.js';
import { type MatmulOptions, matmul } from './matmul.js';

type Attrs = Readonly<Required<MatmulOptions>> & Record<string, boolean | string>;

const matmulAddOp = defineOp({
  kind: 'composite',
  name: 'matmul_add',
  inputs: ['a', 'b', 'bias?', 'residual'],
  outputs: ['y'],
  infer({ a, b, bias, residual }, { transposeA, transposeB }: Attrs) {
    if (a.shape.length !== 2 || b.shape.length !== 2)
      throw new ShapeError(`matmul_add: expected matrices, got ${showType(a)} and ${showType(b)}`);
    const [m, k] = transposeA ? a.shape.toReversed() : a.shape;
    const [k2, n] = transposeB ? b.shape.toReversed() : b.shape;
    if (k !== k2) throw new ShapeError(`matmul_add: ${showType(a)} and ${showType(b)} do not fit together`);
    expectShape('matmul_add', 'residual', residual, [m, n]);
    if (bias) expectShape('matmul_add', 'bias', bias, [n]);
    return { y: f32(residual.shape) };
  },
  decompose({ a, b, bias, residual }, attrs) {
    const product = matmul(a, b, attrs);
    return { y: add(bias ? add(product, bias) : product, residual) };
  },
});

/**
 * y = a·b + bias + residual, matrices that are transposed as `matmul` takes them. a [M, K], b [K, N], bias [N], residual [M, N] →
 * [M, N].
 */
export const matmulAdd = (
  inputs: Parameters<typeof matmulAddOp>[0],
  options: Required<MatmulOptions>,
): Value => matmulAddOp(inputs, options as Attrs).y;
