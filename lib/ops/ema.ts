import { defineOp } from '../ir/define_op.js';
import { expectShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { trainingOnly } from './excluded.js';

const emaOp = defineOp({
  kind: 'primitive',
  name: 'ema',
  inputs: ['average', 'param', 'decay'],
  outputs: ['average'],
  writes: { average: 'average' },
  infer({ average, param, decay }, _attrs: Record<string, never>) {
    expectShape('ema', 'param', param, average.shape);
    expectShape('ema', 'decay', decay, [1]);
    return { average };
  },
  gradient: 'none',
  onnx: trainingOnly,
  reference({ param, decay }, _attrs, { average }) {
    const d = decay.data[0] as number;
    param.data.forEach((p, i) => {
      average.data[i] = d * (average.data[i] as number) + (1 - d) * p;
    });
  },
});

/** average = decay · average + (1 − decay) · param, in place. average: a state of param's shape; decay f32 [1]. */
export const ema = (average: Value, param: Value, decay: Value): Value =>
  emaOp({ average, param, decay }, {}).average;
