import type { Node, Value } from '../ir/value.js';
import { activations } from '../ops/activation_functions.js';
import type { KernelCall } from '../plan/kernel_call.js';
import { attr, indexOf, input, type Lowering, panel, plain } from './lowering.js';

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

/** Rows of logits that are in memory at once: kRowsAtOnce of native/steps_cross_entropy.cc. */
const rowsAtOnce = 256;

/** Cross-entropy of a linear, and with `dloss` its gradients, with room for the operands of its products as kernels want them. */
function linearCrossEntropy({ node, room, traits }: Lowering): KernelCall {
  const [classes, width] = input(node, 'w').shape as readonly [number, number];
  const bf16 = node.attrs.compute === 'bf16' && traits.bf16Dot;
  const even = (n: number): number => 2 * Math.ceil(n / 2);
  const panels = (n: number, k: number): Value =>
    bf16
      ? room('bf16', [Math.ceil(n / panel), even(k), panel])
      : room('f32', [Math.ceil(n / panel), k, panel]);
  const rows = (m: number, k: number): Value => (bf16 ? room('bf16', [m, even(k)]) : room('f32', [m, k]));
  /** Rows that f32 products read where they are. */
  const rounded = (m: number, k: number): Value[] => (bf16 ? [rows(m, k)] : []);
  const call = plain(node, ['x', 'w', 'labels', 'dloss'], [attr(node, 'smoothing'), Number(bf16)]);
  const forward = [room('f32', [rowsAtOnce, classes]), panels(classes, width), ...rounded(rowsAtOnce, width)];
  const backward = [
    panels(width, classes),
    rows(classes, rowsAtOnce),
    panels(width, rowsAtOnce),
    ...rounded(rowsAtOnce, classes),
  ];
  return { ...call, outputs: [...call.outputs, ...forward, ...(node.inputs.dloss ? backward : [])] };
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
  linear_cross_entropy: (lowering) => [linearCrossEntropy(lowering)],
  linear_cross_entropy_grad: (lowering) => [linearCrossEntropy(lowering)],
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
