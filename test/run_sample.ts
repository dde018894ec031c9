import { type Named, opNamed, type RefTensor } from '../lib/ir/define_op.js';
import '../lib/ops/sample.js';
import { evalShape } from '../lib/ir/shape.js';
import type { Sample } from './suites/suite.js';

/** The outputs of the op `sample` by its reference. */
export function runSample({ inputs, attrs, dims }: Sample): Record<string, RefTensor> {
  const op = opNamed('sample');
  if (op.kind !== 'primitive') throw new Error('expected a primitive');
  const given = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, data }]) => [
      name,
      { shape: evalShape(shape, dims), data: Float64Array.from(data) },
    ]),
  );
  const { R = 0, K = 0 } = dims;
  const shapes = { ids: [R], logprobs: [R], top_ids: [R, K], top_logprobs: [R, K] };
  const outputs = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      { shape, data: new Float64Array(shape.reduce((n, d) => n * d, 1)) },
    ]),
  );
  op.reference(given as unknown as Named<readonly string[], RefTensor>, attrs, outputs);
  return outputs;
}
