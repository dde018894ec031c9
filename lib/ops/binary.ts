import { defineOp, f32 } from '../ir/define_op.js';
import { broadcastShapes } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { broadcastStrides, walk } from './strides.js';

/** The functions of two numbers that kernels know, with their meaning in float64. The order is shared with kernels/cpu/kernel.h. */
export const binaryFunctions = {
  add: (a: number, b: number) => a + b,
  sub: (a: number, b: number) => a - b,
  mul: (a: number, b: number) => a * b,
  div: (a: number, b: number) => a / b,
  max: (a: number, b: number) => Math.max(a, b),
  min: (a: number, b: number) => Math.min(a, b),
  // As in C, unlike in JavaScript: 1 to any power is 1, NaN and infinity among them, and so is (−1) to an infinite one.
  pow: (a: number, b: number) =>
    a === 1 || (a === -1 && Math.abs(b) === Number.POSITIVE_INFINITY) ? 1 : a ** b,
  less: (a: number, b: number) => (a < b ? 1 : 0),
  equal: (a: number, b: number) => (a === b ? 1 : 0),
} as const;

export type BinaryFunction = keyof typeof binaryFunctions;

const onnxBinary: Readonly<Record<BinaryFunction, string>> = {
  add: 'Add',
  sub: 'Sub',
  mul: 'Mul',
  div: 'Div',
  max: 'Max',
  min: 'Min',
  pow: 'Pow',
  less: 'Less',
  equal: 'Equal',
};

const binaryOp = defineOp({
  kind: 'primitive',
  name: 'binary',
  inputs: ['a', 'b'],
  outputs: ['y'],
  infer: ({ a, b }, { fn }: { readonly fn: BinaryFunction }) => ({
    y: f32(broadcastShapes(fn, a.shape, b.shape)),
  }),
  gradient: 'pending',
  onnx({ inputs: { a, b }, attrs: { fn }, onnx }) {
    const y = onnx.op(onnxBinary[fn], [onnx.as('f32', a), onnx.as('f32', b)]);
    // Comparisons give booleans.
    return { y: fn === 'less' || fn === 'equal' ? onnx.cast('f32', y) : y };
  },
  reference({ a, b }, { fn }, { y }) {
    const f = binaryFunctions[fn];
    const rank = y.shape.length;
    walk(y.shape, [broadcastStrides(a.shape, rank), broadcastStrides(b.shape, rank)], (i, [ia, ib]) => {
      y.data[i] = f(a.data[ia as number] as number, b.data[ib as number] as number);
    });
  },
});

/** y = fn(a, b), elementwise with NumPy's broadcasting. */
export const binary = (fn: BinaryFunction, a: Value, b: Value): Value => binaryOp({ a, b }, { fn }).y;
export const add = (a: Value, b: Value): Value => binary('add', a, b);
export const sub = (a: Value, b: Value): Value => binary('sub', a, b);
export const mul = (a: Value, b: Value): Value => binary('mul', a, b);
