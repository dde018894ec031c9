import { defineOp, f32 } from '../ir/define_op.js';
import { expectShape, ShapeError } from '../ir/shape.js';
import type { Value } from '../ir/value.js';

const ropeTableOp = defineOp({
  kind: 'primitive',
  name: 'rope_table',
  inputs: ['positions', 'inv_freq', 'set?'],
  outputs: ['cos', 'sin'],
  infer({ positions, inv_freq, set }, _attrs: { readonly scale: number }) {
    const [rows] = positions.shape;
    const half = inv_freq.shape[1];
    if (rows === undefined || half === undefined)
      throw new ShapeError('rope_table: expected positions [T] and inv_freq [sets, half]');
    if (set) expectShape('rope_table', 'set', set, [rows]);
    return { cos: f32([rows, half]), sin: f32([rows, half]) };
  },
  gradient: 'none',
  onnx({ inputs: { positions, inv_freq, set }, attrs: { scale }, onnx }) {
    const frequencies = onnx.op('Gather', [inv_freq.id, set ? set.id : onnx.ints([0])]); // [T or 1, half]
    const column = onnx.op('Unsqueeze', [onnx.as('f32', positions), onnx.ints([1])]);
    const angle = onnx.op('Mul', [column, frequencies]);
    const [cos, sin] = ['Cos', 'Sin'].map((operator) => {
      const y = onnx.op(operator, [angle]);
      return scale === 1 ? y : onnx.op('Mul', [y, onnx.floats([scale])]);
    }) as [string, string];
    return { cos, sin };
  },
  reference({ positions, inv_freq, set }, { scale }, { cos, sin }) {
    const half = inv_freq.shape[1] as number;
    positions.data.forEach((p, r) => {
      const base = (set?.data[r] ?? 0) * half;
      for (let i = 0; i < half; i++) {
        // The product is rounded to f32 because the models were trained with it so: it matters at large positions.
        const angle = Math.fround(p * (inv_freq.data[base + i] as number));
        cos.data[r * half + i] = Math.cos(angle) * scale;
        sin.data[r * half + i] = Math.sin(angle) * scale;
      }
    });
  },
});

/**
 * Angles of rotary positions: cos and sin of positions[t] · inv_freq[set[t]], times scale. positions i32 [T], inv_freq
 * [sets, half], set i32 [T] (left out: 0) → [T, half] each.
 */
export const ropeTable = (
  inputs: { readonly positions: Value; readonly inv_freq: Value; readonly set?: Value | undefined },
  attrs: { readonly scale: number },
): { readonly cos: Value; readonly sin: Value } => ropeTableOp(inputs, attrs);
