import { defineOp, f32 } from '../ir/define_op.js';
import type { OnnxName } from '../ir/onnx_builder.js';
import type { Value } from '../ir/value.js';
import { type Activation, activations } from './activation_functions.js';
import { activationGrad } from './activation_grad.js';

const activationOp = defineOp({
  kind: 'composite',
  name: 'activation',
  inputs: ['x'],
  outputs: ['y'],
  infer: ({ x }, _attrs: { readonly fn: Activation }) => ({ y: f32(x.shape) }),
  onnx({ inputs: { x }, attrs: { fn }, onnx }) {
    const sigmoid = (y: OnnxName): OnnxName => onnx.op('Sigmoid', [y]);
    const { id } = x;
    switch (fn) {
      case 'gelu':
        return { y: onnx.op('Gelu', [id]) };
      case 'gelu_tanh':
        return { y: onnx.op('Gelu', [id], { approximate: 'tanh' }) };
      case 'silu':
        return { y: onnx.op('Mul', [id, sigmoid(id)]) };
      case 'quick_gelu':
        return { y: onnx.op('Mul', [id, sigmoid(onnx.op('Mul', [id, onnx.floats([1.702])]))]) };
      case 'relu':
        return { y: onnx.op('Relu', [id]) };
      case 'tanh':
        return { y: onnx.op('Tanh', [id]) };
      case 'sigmoid':
        return { y: sigmoid(id) };
      case 'none':
        return { y: id };
    }
  },
  decompose: ({ x }, { fn }) => ({ y: activations[fn](x) }),
  gradient: ({ inputs: { x }, attrs: { fn }, gradients: { y: dy } }) =>
    dy ? { x: activationGrad(fn, x, dy) } : {},
});

/** y = fn(x), elementwise. */
export const activation = (fn: Activation, x: Value): Value =>
  fn === 'none' ? x : activationOp({ x }, { fn }).y;
