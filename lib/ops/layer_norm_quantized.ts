import { defineOp } from '../ir/define_op.js';
import type { Value } from '../ir/value.js';
import { layerNorm } from './layer_norm.js';
import { inferRows, quantizeRows } from './quantize_rows.js';

const layerNormQuantizedOp = defineOp({
  kind: 'composite',
  name: 'layer_norm_quantized',
  inputs: ['x', 'weight', 'bias'],
  outputs: ['q', 'scale'],
  infer: ({ x }, _attrs: { readonly eps: number }) => inferRows('layer_norm_quantized', x.shape),
  decompose: ({ x, weight, bias }, { eps }) => quantizeRows(layerNorm(x, weight, bias, eps)),
});

/** layer_norm and quantize_rows in one: x, weight, bias → q i8, scale. */
export const layerNormQuantized = (
  inputs: Readonly<Record<'x' | 'weight' | 'bias', Value>>,
  eps: number,
): Readonly<Record<'q' | 'scale', Value>> => layerNormQuantizedOp(inputs, { eps });
