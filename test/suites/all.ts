import { samples as activation, activationGrad, gatedActivation, gatedActivationGrad } from './activation.js';
import { attention, attentionGrad, pagedAttention } from './attention.js';
import { samples as binary } from './binary.js';
import { kvCopy, kvWrite, ropeKvWrite } from './cache.js';
import { conv2d, conv2dGradW, conv2dGradX, fusedConv2d } from './conv2d.js';
import {
  crossEntropy,
  crossEntropyGrad,
  linearCrossEntropy,
  linearCrossEntropyGrad,
} from './cross_entropy.js';
import { samples as embedding, embeddingGrad } from './embedding.js';
import { reduceGrad, unaryGrad } from './gradients.js';
import {
  fusedQuantizedLinear,
  layerNormQuantized,
  quantizedLinear,
  quantizeRows,
  rmsNormQuantized,
} from './int8.js';
import { concat, gatherRows, pad, reshape, slice, transpose } from './layout.js';
import { fusedLinear, linear } from './linear.js';
import { samples as matmul, matmulAdd } from './matmul.js';
import { layerNorm, layerNormGrad, rmsNorm, rmsNormGrad } from './norm.js';
import { accumulate, adamw, ema, fill, sgd, sumSquares } from './optimizer.js';
import { samples as paddedAttention } from './padded_attention.js';
import { groupNorm, groupNormGrad, pool2d, pool2dGrad, upsample2d } from './picture.js';
import { samples as reduce } from './reduce.js';
import { rope, ropeTable } from './rope.js';
import { samples as sample } from './sample.js';
import { samples as softmax } from './softmax.js';
import type { Sample } from './suite.js';
import { samples as unary } from './unary.js';

/** Samples by op: every op has some. */
export const suites: Readonly<Record<string, readonly Sample[]>> = {
  accumulate,
  activation,
  activation_grad: activationGrad,
  adamw,
  attention,
  attention_grad: attentionGrad,
  binary,
  concat,
  conv2d,
  conv2d_grad_w: conv2dGradW,
  conv2d_grad_x: conv2dGradX,
  cross_entropy: crossEntropy,
  cross_entropy_grad: crossEntropyGrad,
  linear_cross_entropy: linearCrossEntropy,
  linear_cross_entropy_grad: linearCrossEntropyGrad,
  ema,
  embedding,
  embedding_grad: embeddingGrad,
  fill,
  fused_conv2d: fusedConv2d,
  fused_linear: [...fusedLinear, ...fusedQuantizedLinear],
  gated_activation: gatedActivation,
  gated_activation_grad: gatedActivationGrad,
  gather_rows: gatherRows,
  group_norm: groupNorm,
  group_norm_grad: groupNormGrad,
  kv_copy: kvCopy,
  kv_write: kvWrite,
  layer_norm: layerNorm,
  layer_norm_grad: layerNormGrad,
  layer_norm_quantized: layerNormQuantized,
  linear,
  matmul,
  matmul_add: matmulAdd,
  pad,
  padded_attention: paddedAttention,
  paged_attention: pagedAttention,
  pool2d,
  pool2d_grad: pool2dGrad,
  quantize_rows: quantizeRows,
  quantized_linear: quantizedLinear,
  reduce,
  reduce_grad: reduceGrad,
  reshape,
  rms_norm: rmsNorm,
  rms_norm_grad: rmsNormGrad,
  rms_norm_quantized: rmsNormQuantized,
  rope,
  rope_kv_write: ropeKvWrite,
  rope_table: ropeTable,
  sample,
  sgd,
  slice,
  softmax,
  sum_squares: sumSquares,
  transpose,
  unary,
  unary_grad: unaryGrad,
  upsample2d,
};
