import { defineOp, f32 } from '../ir/define_op.js';
import type { Value } from '../ir/value.js';
import { reduceGrad } from './reduce_grad.js';
import { around } from './strides.js';

/** Reductions over an axis, start value and step. The order is shared with kernels/cpu/kernel.h. */
export const reduceFunctions = {
  sum: { start: 0, step: (a: number, x: number) => a + x },
  max: { start: Number.NEGATIVE_INFINITY, step: (a: number, x: number) => Math.max(a, x) },
} as const;

export type ReduceFunction = keyof typeof reduceFunctions;

const reduceOp = defineOp({
  kind: 'primitive',
  name: 'reduce',
  inputs: ['x'],
  outputs: ['y'],
  infer: ({ x }, { axis }: { readonly fn: ReduceFunction; readonly axis: number }) => ({
    y: f32(x.shape.map((d, i) => (i === axis ? 1 : d))),
  }),
  gradient: ({ inputs: { x }, outputs: { y }, attrs, gradients: { y: dy } }) =>
    dy
      ? {
          x: reduceGrad(
            { dy, ...(attrs.fn === 'max' && { x, y }) },
            { ...attrs, size: x.shape[attrs.axis] ?? 1 },
          ),
        }
      : {},
  onnx: ({ inputs: { x }, attrs: { fn, axis }, onnx }) => ({
    y: onnx.op(fn === 'sum' ? 'ReduceSum' : 'ReduceMax', [onnx.as('f32', x), onnx.ints([axis])]),
  }),
  reference({ x }, { fn, axis }, { y }) {
    const { outer, n, inner } = around(x.shape, axis);
    const { start, step } = reduceFunctions[fn];
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        let acc: number = start;
        for (let k = 0; k < n; k++) acc = step(acc, x.data[(o * n + k) * inner + i] as number);
        y.data[o * inner + i] = acc;
      }
    }
  },
});

/** Sum or maximum over `axis` (negative: from the end), which stays with size 1. */
export const reduce = (fn: ReduceFunction, x: Value, axis: number): Value =>
  reduceOp({ x }, { fn, axis: axis < 0 ? axis + x.shape.length : axis }).y;
