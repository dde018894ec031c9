import { defineOp } from '../ir/define_op.js';
import type { Value } from '../ir/value.js';
import { inferRows, quantizeRows } from './quantize_rows.js';
import { rmsNorm } from './rms_norm.js';

const rmsNormQuantizedOp = defineOp({
  kind: 'composite',
  name: 'rms_norm_quantized',
  inputs: ['x', 'weight'],
  outputs: ['q', 'scale'],
  infer: ({ x }, _attrs: { readonly eps: number }) => inferRows('rms_norm_quantized', x.shape),
  decompose: ({ x, weight }, { eps }) => quantizeRows(rmsNorm(x, weight, eps)),
});

/** rms_norm and quantize_rows in one: x, weight → q i8, scale. */
export const rmsNormQuantized = (
  inputs: Readonly<Record<'x' | 'weight', Value>>,
  eps: number,
): Readonly<Record<'q' | 'scale', Value>> => rmsNormQuantizedOp(inputs, { eps });
