import { defineOp, f32 } from '../ir/define_op.js';
import type { Value } from '../ir/value.js';
import { erf } from './special.js';
import { unaryGrad } from './unary_grad.js';

/** The functions of one number that kernels know, with their meaning in float64. The order is shared with kernels/cpu/kernel.h. */
export const unaryFunctions = {
  neg: (x: number) => -x,
  abs: Math.abs,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  rsqrt: (x: number) => 1 / Math.sqrt(x),
  tanh: Math.tanh,
  erf,
  sigmoid: (x: number) => 1 / (1 + Math.exp(-x)),
  sin: Math.sin,
  cos: Math.cos,
  relu: (x: number) => (x > 0 || Number.isNaN(x) ? x : 0),
} as const;

export type UnaryFunction = keyof typeof unaryFunctions;

/** Operators one after the other. */
const onnxUnary: Readonly<Record<UnaryFunction, readonly string[]>> = {
  neg: ['Neg'],
  abs: ['Abs'],
  exp: ['Exp'],
  log: ['Log'],
  sqrt: ['Sqrt'],
  rsqrt: ['Sqrt', 'Reciprocal'],
  tanh: ['Tanh'],
  erf: ['Erf'],
  sigmoid: ['Sigmoid'],
  sin: ['Sin'],
  cos: ['Cos'],
  relu: ['Relu'],
};

const unaryOp = defineOp({
  kind: 'primitive',
  name: 'unary',
  inputs: ['x'],
  outputs: ['y'],
  infer: ({ x }, _attrs: { readonly fn: UnaryFunction }) => ({ y: f32(x.shape) }),
  gradient({ inputs: { x }, outputs: { y }, attrs: { fn }, gradients: { y: dy } }) {
    if (!dy) return {};
    return { x: fn === 'neg' ? unary('neg', dy) : unaryGrad(fn, { x, y, dy }) };
  },
  onnx: ({ inputs: { x }, attrs: { fn }, onnx }) => ({
    y: onnxUnary[fn].reduce((y, operator) => onnx.op(operator, [y]), onnx.as('f32', x)),
  }),
  reference({ x }, { fn }, { y }) {
    const f = unaryFunctions[fn];
    for (let i = 0; i < y.data.length; i++) y.data[i] = f(x.data[i] as number);
  },
});

/** y = fn(x), elementwise. */
export const unary = (fn: UnaryFunction, x: Value): Value => unaryOp({ x }, { fn }).y;
