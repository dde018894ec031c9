import type { Node, Value } from '../ir/value.js';
import { activations } from '../ops/activation_functions.js';
import type { KernelCall } from '../plan/kernel_call.js';
import { attr, indexOf, type Lowering, plain } from './lowering.js';

/** Parts of rows whose sums are added at last: kParts of kernels/cpu/kernel_training.h. */
const parts = 64;

const fn = (node: Node): number => indexOf(activations, node.attrs.fn);
const renamed = (kernel: string, call: KernelCall): KernelCall => ({ ...call, kernel });

/** A norm's gradient: sums over rows have room for their parts. */
function normGrad({ node, room }: Lowering): KernelCall {
  const call = plain(node, ['x', 'weight', 'dy'], [attr(node, 'eps')]);
  const sums = call.outputs.slice(1).map((sum) => room('f32', [parts, ...sum.shape]));
  return { ...call, outputs: [...call.outputs, ...sums] };
}

function sumSquares({ node, room }: Lowering): KernelCall {
  return { ...plain(node, ['x']), outputs: [node.outputs.y as Value, room('f32', [parts])] };
}

/** The kernel steps of the ops that training adds. */
export const trainingLowerings: Readonly<Record<string, (lowering: Lowering) => readonly KernelCall[]>> = {
  attention_grad: ({ node }) => [
    plain(
      node,
      ['q', 'k', 'v', 'dy', 'q_starts', 'k_starts', 'slopes'],
      ['scale', 'causal', 'window', 'softcap'].map((n) => attr(node, n)),
    ),
  ],
  adamw: ({ node }) => [plain(node, ['param', 'm', 'v', 'grad', 'hyper'])],
  sgd: ({ node }) => [plain(node, ['param', 'momentum', 'grad', 'hyper'], [attr(node, 'nesterov')])],
  ema: ({ node }) => [plain(node, ['average', 'param', 'decay'])],
  accumulate: ({ node }) => [plain(node, ['sum', 'x'])],
  fill: ({ node }) => [plain(node, ['x'], [attr(node, 'value')])],
  sum_squares: (lowering) => [sumSquares(lowering)],
  cross_entropy: ({ node }) => [plain(node, ['logits', 'labels'], [attr(node, 'smoothing')])],
  cross_entropy_grad: ({ node }) => [plain(node, ['logits', 'labels', 'dloss'], [attr(node, 'smoothing')])],
  rms_norm_grad: (lowering) => [normGrad(lowering)],
  layer_norm_grad: (lowering) => [normGrad(lowering)],
  rope: ({ node }) => [plain(node, ['x', 'cos', 'sin'], [attr(node, 'interleaved')])],
  activation: ({ node }) => [plain(node, ['x'], [fn(node)])],
  gated_activation: ({ node }) => [renamed('activation', plain(node, ['gate', 'up'], [fn(node)]))],
  activation_grad: ({ node }) => [plain(node, ['x', 'dy'], [fn(node)])],
  gated_activation_grad: ({ node }) => [
    renamed('activation_grad', plain(node, ['gate', 'dy', 'up'], [fn(node)])),
  ],
  embedding_grad: ({ node }) => [plain(node, ['ids', 'dy'])],
};
