import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';

/**
 * The derivative of a function of one number, from x or, where that is shorter, from y = fn(x). The order is shared with
 * kernels/cpu/kernel.h.
 */
export const unaryDerivatives = {
  abs: { of: 'x', slope: (x: number) => Math.sign(x) },
  exp: { of: 'y', slope: (y: number) => y },
  log: { of: 'x', slope: (x: number) => 1 / x },
  sqrt: { of: 'y', slope: (y: number) => 0.5 / y },
  rsqrt: { of: 'y', slope: (y: number) => -0.5 * y * y * y },
  tanh: { of: 'y', slope: (y: number) => 1 - y * y },
  erf: { of: 'x', slope: (x: number) => (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) },
  sigmoid: { of: 'y', slope: (y: number) => y * (1 - y) },
  sin: { of: 'x', slope: (x: number) => Math.cos(x) },
  cos: { of: 'x', slope: (x: number) => -Math.sin(x) },
  relu: { of: 'y', slope: (y: number) => (y > 0 ? 1 : 0) },
} as const;

export type DerivableFunction = keyof typeof unaryDerivatives;

const unaryGradOp = defineOp({
  kind: 'primitive',
  name: 'unary_grad',
  inputs: ['v', 'dy'],
  outputs: ['dx'],
  infer({ v, dy }, _attrs: { readonly fn: DerivableFunction }) {
    expectShape('unary_grad', 'dy', dy, v.shape);
    return { dx: f32(v.shape) };
  },
  gradient: 'none',
  onnx: { excluded: 'training runs on the cpu' },
  reference({ v, dy }, { fn }, { dx }) {
    const { slope } = unaryDerivatives[fn];
    for (let i = 0; i < dx.data.length; i++) dx.data[i] = (dy.data[i] as number) * slope(v.data[i] as number);
  },
});

/** dx = dy · fn'(x), elementwise; y = fn(x). */
export const unaryGrad = (
  fn: DerivableFunction,
  { x, y, dy }: { readonly x: Value; readonly y: Value; readonly dy: Value },
): Value => unaryGradOp({ v: unaryDerivatives[fn].of === 'x' ? x : y, dy }, { fn }).dx;
