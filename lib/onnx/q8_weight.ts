import { q8Group, q8Scales } from '../dtype.js';
import type { OnnxBuilder, OnnxName } from '../ir/onnx_builder.js';

interface Matrix {
  readonly n: number;
  readonly k: number;
}

/** f32 rows [N, K] as groups [N, G, 32], the last one filled up with 0. */
function grouped(onnx: OnnxBuilder, x: OnnxName, { n, k }: Matrix): OnnxName {
  const missing = q8Scales(k) * q8Group - k;
  const whole = missing > 0 ? onnx.op('Pad', [x, onnx.ints([0, 0, 0, missing])]) : x;
  return onnx.op('Reshape', [whole, onnx.ints([n, q8Scales(k), q8Group])]);
}

/** The rows [N, K] of groups [N, G, 32]. */
function rows(onnx: OnnxBuilder, groups: OnnxName, { n, k }: Matrix): OnnxName {
  const whole = onnx.op('Reshape', [groups, onnx.ints([n, q8Scales(k) * q8Group])]);
  return k % q8Group === 0
    ? whole
    : onnx.op('Slice', [whole, onnx.ints([0]), onnx.ints([k]), onnx.ints([1])]);
}

/** What stored q8 rows stand for: int8 [N, K] times f16 [N, G] → f32 [N, K]. */
export function dequantized(onnx: OnnxBuilder, bytes: OnnxName, scales: OnnxName, shape: Matrix): OnnxName {
  const numbers = grouped(onnx, onnx.cast('f32', bytes), shape);
  const factors = onnx.op('Reshape', [onnx.cast('f32', scales), onnx.ints([shape.n, q8Scales(shape.k), 1])]);
  return rows(onnx, onnx.op('Mul', [numbers, factors]), shape);
}

/** f32 rows [N, K] rounded to what q8 holds: the definition of `roundToQ8` in operators. */
export function roundedToQ8(onnx: OnnxBuilder, x: OnnxName, shape: Matrix): OnnxName {
  const groups = grouped(onnx, x, shape);
  const most = onnx.op('ReduceMax', [onnx.op('Abs', [groups]), onnx.ints([2])], { keepdims: 1n });
  const d = onnx.op('Div', [most, onnx.floats([127])]);
  // Where 1 / d is beyond f32, d as f16 is 0, whatever the bytes.
  const inverse = onnx.op('Div', [onnx.floats([1]), onnx.op('Max', [d, onnx.floats([3e-39])])]);
  const t = onnx.op('Mul', [groups, inverse]);
  const size = onnx.op('Abs', [t]);
  // Halves go away from 0; Round takes the even one, and adding 0.5 in f32 would round by itself.
  const even = onnx.op('Round', [size]);
  const down = onnx.op('Equal', [onnx.op('Sub', [size, even]), onnx.floats([0.5])]);
  const away = onnx.op('Add', [even, onnx.cast('f32', down)]);
  const bytes = onnx.op('Mul', [onnx.op('Sign', [t]), away]);
  return rows(onnx, onnx.op('Mul', [bytes, onnx.cast('f32', onnx.cast('f16', d))]), shape);
}
