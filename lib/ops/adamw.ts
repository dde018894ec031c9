import { defineOp } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { trainingOnly } from './excluded.js';

const adamwOp = defineOp({
  kind: 'primitive',
  name: 'adamw',
  inputs: ['param', 'm', 'v', 'grad', 'hyper'],
  outputs: ['param', 'm', 'v'],
  writes: { param: 'param', m: 'm', v: 'v' },
  infer({ param, m, v, grad, hyper }, _attrs: Record<string, never>) {
    for (const [name, type] of Object.entries({ m, v, grad })) expectShape('adamw', name, type, param.shape);
    expectShape('adamw', 'hyper', hyper, [8]);
    return { param, m, v };
  },
  gradient: 'none',
  onnx: trainingOnly,
  reference({ grad, hyper }, _attrs, { param, m, v }) {
    const [rate, beta1, beta2, eps, decay, correction1, correction2, factor] = hyper.data as unknown as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    grad.data.forEach((given, i) => {
      const g = given * factor;
      const first = beta1 * (m.data[i] as number) + (1 - beta1) * g;
      const second = beta2 * (v.data[i] as number) + (1 - beta2) * g * g;
      const step = ((rate / correction1) * first) / (Math.sqrt(second) / Math.sqrt(correction2) + eps);
      param.data[i] = (param.data[i] as number) * (1 - rate * decay) - step;
      m.data[i] = first;
      v.data[i] = second;
    });
  },
});

/**
 * One step of AdamW, as torch.optim.AdamW has it, in place: g = factor · grad; m = β1·m + (1 − β1)·g; v = β2·v + (1 − β2)·g²;
 * param = (1 − rate · decay) · param − rate · m̂ / (√v̂ + eps) with m̂ = m / (1 − β1ᵗ) and v̂ = v / (1 − β2ᵗ). param, m, v are states
 * of grad's shape; hyper f32 [8]: rate, β1, β2, eps, decay, 1 − β1ᵗ, 1 − β2ᵗ, factor (clipping, accumulation). Decay 0 is Adam.
 * Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101
 */
export const adamw = (
  inputs: Parameters<typeof adamwOp>[0],
): { readonly param: Value; readonly m: Value; readonly v: Value } => adamwOp(inputs, {});
