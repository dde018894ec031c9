import { defineOp } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { trainingOnly } from './excluded.js';

const sgdOp = defineOp({
  kind: 'primitive',
  name: 'sgd',
  inputs: ['param', 'momentum', 'grad', 'hyper'],
  outputs: ['param', 'momentum'],
  writes: { param: 'param', momentum: 'momentum' },
  infer({ param, momentum, grad, hyper }, _attrs: { readonly nesterov: boolean }) {
    for (const [name, type] of Object.entries({ momentum, grad }))
      expectShape('sgd', name, type, param.shape);
    expectShape('sgd', 'hyper', hyper, [4]);
    return { param, momentum };
  },
  gradient: 'none',
  onnx: trainingOnly,
  reference({ grad, hyper }, { nesterov }, { param, momentum }) {
    const [rate, keep, decay, factor] = hyper.data as unknown as [number, number, number, number];
    grad.data.forEach((given, i) => {
      const p = param.data[i] as number;
      const g = given * factor + decay * p;
      const m = keep * (momentum.data[i] as number) + g;
      param.data[i] = p - rate * (nesterov ? g + keep * m : m);
      momentum.data[i] = m;
    });
  },
});

/**
 * One step of SGD with momentum, as torch.optim.SGD has it without dampening, in place: g = factor · grad + decay · param;
 * momentum = μ · momentum + g; param −= rate · momentum, or with `nesterov` rate · (g + μ · momentum). param and momentum are states of
 * grad's shape, momentum 0 at first; hyper f32 [4]: rate, μ, decay, factor. Sutskever et al. 2013.
 */
export const sgd = (
  inputs: Parameters<typeof sgdOp>[0],
  nesterov = false,
): { readonly param: Value; readonly momentum: Value } => sgdOp(inputs, { nesterov });
