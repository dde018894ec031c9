import { defineOp, f32 } from '../ir/define_op.js';
import { broadcastShapes } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { scalar } from './scalar.js';
import { broadcastStrides, walk } from './strides.js';
import { sumTo } from './sum_to.js';
import { unary } from './unary.js';

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

interface Operands {
  readonly a: Value;
  readonly b: Value;
  readonly y: Value;
  readonly dy: Value;
}
/** dy · ∂y/∂a and dy · ∂y/∂b, of y's shape. Where both are greatest (or least), each has half. */
const partials: Readonly<
  Record<BinaryFunction, (o: Operands) => { readonly a?: Value; readonly b?: Value }>
> = {
  add: ({ dy }) => ({ a: dy, b: dy }),
  sub: ({ dy }) => ({ a: dy, b: unary('neg', dy) }),
  mul: ({ a, b, dy }) => ({ a: mul(dy, b), b: mul(dy, a) }),
  div({ b, y, dy }) {
    const da = binary('div', dy, b);
    return { a: da, b: unary('neg', mul(da, y)) };
  },
  max: ({ a, b, dy }) => ({ a: mul(dy, wins(b, a)), b: mul(dy, wins(a, b)) }),
  min: ({ a, b, dy }) => ({ a: mul(dy, wins(a, b)), b: mul(dy, wins(b, a)) }),
  pow({ a, b, y, dy }) {
    const zero = scalar(a, 0);
    // b · a^(b − 1) is 0 where b is, and y · log a where a is, whatever the other factor.
    const less = add(sub(b, scalar(b, 1)), binary('equal', b, zero));
    const log = unary('log', add(a, binary('equal', a, zero)));
    return { a: mul(dy, mul(b, binary('pow', a, less))), b: mul(dy, mul(y, log)) };
  },
  // Steps: their slope is 0 wherever they have one.
  less: () => ({}),
  equal: () => ({}),
};

/** 1 where a < b, ½ where they are equal. */
const wins = (a: Value, b: Value): Value =>
  add(binary('less', a, b), mul(binary('equal', a, b), scalar(a, 0.5)));

const binaryOp = defineOp({
  kind: 'primitive',
  name: 'binary',
  inputs: ['a', 'b'],
  outputs: ['y'],
  infer: ({ a, b }, { fn }: { readonly fn: BinaryFunction }) => ({
    y: f32(broadcastShapes(fn, a.shape, b.shape)),
  }),
  gradient({ inputs: { a, b }, outputs: { y }, attrs: { fn }, gradients: { y: dy } }) {
    if (!dy) return {};
    const found = partials[fn]({ a, b, y, dy });
    return {
      ...(found.a && { a: sumTo(found.a, a.shape) }),
      ...(found.b && { b: sumTo(found.b, b.shape) }),
    };
  },
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
