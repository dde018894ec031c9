import { defineOp, f32 } from '../ir/define_op.js';
import type { Value } from '../ir/value.js';
import { binary, mul, sub } from './binary.js';
import { reduce } from './reduce.js';
import { unary } from './unary.js';

const softmaxOp = defineOp({
  kind: 'composite',
  name: 'softmax',
  inputs: ['x'],
  outputs: ['y'],
  infer: ({ x }, _attrs: { readonly axis: number; readonly log: boolean }) => ({ y: f32(x.shape) }),
  onnx: ({ inputs: { x }, attrs: { axis, log }, onnx }) => ({
    y: onnx.op(log ? 'LogSoftmax' : 'Softmax', [x.id], { axis: BigInt(axis) }),
  }),
  gradient({ outputs: { y }, attrs: { axis, log }, gradients: { y: dy } }) {
    if (!dy) return {};
    const dx = log
      ? sub(dy, mul(unary('exp', y), reduce('sum', dy, axis)))
      : mul(y, sub(dy, reduce('sum', mul(dy, y), axis)));
    return { x: dx };
  },
  decompose({ x }, { axis, log }) {
    const shifted = sub(x, reduce('max', x, axis));
    const e = unary('exp', shifted);
    const sum = reduce('sum', e, axis);
    return { y: log ? sub(shifted, unary('log', sum)) : binary('div', e, sum) };
  },
});

const apply = (x: Value, axis: number, log: boolean): Value =>
  softmaxOp({ x }, { axis: axis < 0 ? axis + x.shape.length : axis, log }).y;

/** y = exp(x − max) / Σ exp(x − max) over `axis`. */
export const softmax = (x: Value, axis = -1): Value => apply(x, axis, false);
/** y = log softmax(x) over `axis`. */
export const logSoftmax = (x: Value, axis = -1): Value => apply(x, axis, true);
