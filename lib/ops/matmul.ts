import { roundTo } from '../dtype.js';
import { defineOp, f32 } from '../ir/define_op.js';
import type { OnnxBuilder, OnnxName, OnnxValue } from '../ir/onnx_builder.js';
import { broadcastShapes, ShapeError, showType } from '../ir/shape.js';
import type { TensorType, Value } from '../ir/value.js';
import { reshape } from './reshape.js';
import { broadcastStrides, walk } from './strides.js';
import { sumTo } from './sum_to.js';

/** What a product's operands are rounded to before they are multiplied; sums are f32 or better. */
export type Compute = 'f32' | 'bf16';

export interface MatmulOptions {
  /** a is [..., K, M]. */
  readonly transposeA?: boolean;
  /** b is [..., N, K]. */
  readonly transposeB?: boolean;
  readonly compute?: Compute;
}

type MatmulAttrs = Readonly<Required<MatmulOptions>> & Record<string, boolean | Compute>;

const lastTwo = ({ shape }: TensorType, transposed: boolean) => {
  const [rows, columns] = shape.slice(-2);
  return transposed ? [columns, rows] : [rows, columns];
};

/** An operand in f32, after rounding to what products are computed in. */
export function roundedOperand(onnx: OnnxBuilder, x: OnnxValue, compute: Compute = 'f32'): OnnxName {
  const number = onnx.as('f32', x);
  return compute === 'bf16' ? onnx.cast('f32', onnx.cast('bf16', number)) : number;
}

const matmulOp = defineOp({
  kind: 'primitive',
  name: 'matmul',
  inputs: ['a', 'b'],
  outputs: ['y'],
  infer({ a, b }, { transposeA, transposeB }: MatmulAttrs) {
    const [m, k] = lastTwo(a, transposeA);
    const [k2, n] = lastTwo(b, transposeB);
    if (m === undefined || k === undefined || n === undefined || k !== k2) {
      const shown = [transposeA ? '[..., K, M]' : '[..., M, K]', transposeB ? '[..., N, K]' : '[..., K, N]'];
      throw new ShapeError(`matmul: expected ${shown.join(' and ')}, got ${showType(a)} and ${showType(b)}`);
    }
    return { y: f32([...broadcastShapes('matmul', a.shape.slice(0, -2), b.shape.slice(0, -2)), m, n]) };
  },
  gradient({ inputs: { a, b }, attrs: { transposeA, transposeB, compute }, gradients: { y: dy } }) {
    if (!dy) return {};
    const da = transposeA
      ? matmul(b, dy, { transposeA: transposeB, transposeB: true, compute })
      : matmul(dy, b, { transposeB: !transposeB, compute });
    const db = transposeB
      ? matmul(dy, a, { transposeA: true, transposeB: transposeA, compute })
      : matmul(a, dy, { transposeA: !transposeA, compute });
    return { a: sumTo(da, a.shape), b: sumTo(db, b.shape) };
  },
  onnx({ inputs: { a, b }, attrs: { transposeA, transposeB, compute }, onnx }) {
    const operand = (x: OnnxValue, transposed: boolean): OnnxName => {
      const rank = x.shape.length;
      const perm = Array.from({ length: rank }, (_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i));
      const rounded = roundedOperand(onnx, x, compute);
      return transposed ? onnx.op('Transpose', [rounded], { perm }) : rounded;
    };
    return { y: onnx.op('MatMul', [operand(a, transposeA), operand(b, transposeB)]) };
  },
  reference({ a, b }, { transposeA, transposeB, compute }, { y }) {
    const batch = y.shape.slice(0, -2);
    const [m, n] = y.shape.slice(-2) as [number, number];
    const k = a.shape.at(transposeA ? -2 : -1) as number;
    const [x, w] = [a, b].map(({ data }) =>
      compute === 'f32' ? data : data.map((v) => roundTo('bf16', Math.fround(v))),
    ) as [Float64Array, Float64Array];
    const strides = [a, b].map((t) => broadcastStrides(t.shape.slice(0, -2), batch.length));
    const [ra, ka] = transposeA ? [1, m] : [k, 1];
    const [kb, cb] = transposeB ? [1, k] : [n, 1];
    walk(batch, strides, (i, [ia, ib]) => {
      for (let r = 0; r < m; r++) {
        for (let c = 0; c < n; c++) {
          let sum = 0;
          for (let j = 0; j < k; j++) {
            sum +=
              (x[(ia as number) * m * k + r * ra + j * ka] as number) *
              (w[(ib as number) * k * n + j * kb + c * cb] as number);
          }
          y.data[(i * m + r) * n + c] = sum;
        }
      }
    });
  },
});

/**
 * y = a·b over the last two axes; the axes before broadcast. a [..., M, K], b [..., K, N], each transposed if the options say so
 * → [..., M, N].
 */
export function matmul(
  a: Value,
  b: Value,
  { transposeA = false, transposeB = false, compute = 'f32' }: MatmulOptions = {},
): Value {
  const rank = Math.max(a.shape.length, b.shape.length);
  const [x, w] = [a, b].map((v) =>
    v.shape.length === rank
      ? v
      : reshape(v, [...new Array<number>(rank - v.shape.length).fill(1), ...v.shape]),
  );
  return matmulOp({ a: x as Value, b: w as Value }, { transposeA, transposeB, compute }).y;
}
