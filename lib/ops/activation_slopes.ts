import type { Value } from '../ir/value.js';
import type { Activation } from './activation_functions.js';
import { add, binary, mul, sub } from './binary.js';
import { scalar } from './scalar.js';
import { unary } from './unary.js';

const times = (x: Value, c: number): Value => mul(x, scalar(x, c));
const plus = (x: Value, c: number): Value => add(x, scalar(x, c));
const oneMinus = (x: Value): Value => sub(scalar(x, 1), x);

/** d/dx of x · sigmoid(u): s + x · s · (1 − s) · u'. */
function swishSlope(x: Value, u: Value, du: Value): Value {
  const s = unary('sigmoid', u);
  return add(s, mul(mul(mul(x, s), oneMinus(s)), du));
}

/** Φ(x) + x · φ(x). */
function geluSlope(x: Value): Value {
  const phi = times(plus(unary('erf', times(x, Math.SQRT1_2)), 1), 0.5);
  const density = times(unary('exp', times(mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return add(phi, mul(x, density));
}

/** gelu_tanh is x · sigmoid(u), u = 2 √(2/π) · (x + 0.044715 x³). */
function geluTanhSlope(x: Value): Value {
  const scale = 2 * Math.sqrt(2 / Math.PI);
  const square = mul(x, x);
  const u = mul(x, times(plus(times(square, 0.044715), 1), scale));
  return swishSlope(x, u, times(plus(times(square, 3 * 0.044715), 1), scale));
}

/** Derivatives of the activations, in simpler ops; of relu 0 at 0, and 0 for NaN. */
export const slopes: Readonly<Record<Activation, (x: Value) => Value>> = {
  none: (x) => plus(times(x, 0), 1),
  silu: (x) => swishSlope(x, x, scalar(x, 1)),
  gelu: geluSlope,
  gelu_tanh: geluTanhSlope,
  quick_gelu: (x) => swishSlope(x, times(x, 1.702), scalar(x, 1.702)),
  relu: (x) => binary('less', scalar(x, 0), x),
  tanh(x) {
    const t = unary('tanh', x);
    return oneMinus(mul(t, t));
  },
  sigmoid(x) {
    const s = unary('sigmoid', x);
    return mul(s, oneMinus(s));
  },
};
