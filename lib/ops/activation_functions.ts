import type { Value } from '../ir/value.js';
import { add, mul } from './binary.js';
import { scalar } from './scalar.js';
import { unary } from './unary.js';

/** x · Φ(x) with the normal distribution function. Hendrycks & Gimpel 2016, https://arxiv.org/abs/1606.08415 */
function gelu(x: Value): Value {
  const phi = add(unary('erf', mul(x, scalar(x, Math.SQRT1_2))), scalar(x, 1));
  return mul(mul(x, scalar(x, 0.5)), phi);
}

/** GELU by its tanh approximation, the same paper. */
function geluTanh(x: Value): Value {
  const cubic = add(x, mul(mul(mul(x, x), x), scalar(x, 0.044715)));
  const t = unary('tanh', mul(cubic, scalar(x, Math.sqrt(2 / Math.PI))));
  return mul(mul(x, scalar(x, 0.5)), add(t, scalar(x, 1)));
}

/** Activations of neural networks, in simpler ops. The order is shared with kernels/cpu/kernel.h. */
export const activations = {
  none: (x: Value) => x,
  silu: (x: Value) => mul(x, unary('sigmoid', x)),
  gelu,
  gelu_tanh: geluTanh,
  quick_gelu: (x: Value) => mul(x, unary('sigmoid', mul(x, scalar(x, 1.702)))),
  relu: (x: Value) => unary('relu', x),
  tanh: (x: Value) => unary('tanh', x),
  sigmoid: (x: Value) => unary('sigmoid', x),
} as const;

export type Activation = keyof typeof activations;
