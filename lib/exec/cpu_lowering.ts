import { q8Group } from '../dtype.js';
import { type Dim, ShapeError } from '../ir/shape.js';
import type { Node, Value } from '../ir/value.js';
import { activations } from '../ops/activation_functions.js';
import { binaryFunctions } from '../ops/binary.js';
import { reduceFunctions } from '../ops/reduce.js';
import { unaryFunctions } from '../ops/unary.js';
import { unaryDerivatives } from '../ops/unary_grad.js';
import type { KernelCall, Operand, ParamRequest } from '../plan/kernel_call.js';
import { layoutLowerings } from './layout_lowering.js';
import { attr, indexOf, input, type Lowering, panel, plain } from './lowering.js';
import { pictureLowerings } from './picture_lowering.js';
import { trainingLowerings } from './training_lowering.js';

const weights = (...parts: readonly Value[]): ParamRequest => ({ layout: 'panels', gated: false, parts });
interface LinearParts {
  readonly weight: ParamRequest;
  readonly bias: ParamRequest | undefined;
  readonly residual: Value | undefined;
  readonly activation: number;
}

/** Room that any level's int8 products need for a group of x: see Int8RowsArgs in kernels/cpu/kernel.h. */
const int8GroupBytes = 2 * q8Group + 8;

function linearCall({ node, room, traits }: Lowering, parts: LinearParts): KernelCall {
  const x = input(node, 'x');
  const y = node.outputs.y as Value;
  const [first] = parts.weight.parts as Value[];
  if (node.inputs.x_scale) {
    const groups = Number(x.shape.at(-1)) / q8Group;
    return {
      kernel: 'quantized_linear',
      inputs: [x, parts.weight, parts.bias, parts.residual, node.inputs.x_scale],
      outputs: [y, room('i8', [...x.shape.slice(0, -1), groups * int8GroupBytes])],
      attrs: [parts.activation],
    };
  }
  const inputs: Operand[] = [x, parts.weight, parts.bias, parts.residual];
  if (first?.dtype !== 'bf16' || !traits.bf16Dot)
    return { kernel: 'linear', inputs, outputs: [y], attrs: [parts.activation] };
  const even = 2 * Math.ceil(Number(x.shape.at(-1)) / 2);
  const rounded = room('bf16', [...x.shape.slice(0, -1), even]);
  return { kernel: 'linear', inputs, outputs: [y, rounded], attrs: [parts.activation] };
}

/** One vector for several weights: their biases, or as many zeros where one has none. */
function biasOf(
  biases: readonly (Value | undefined)[],
  parts: readonly Value[],
  gated: boolean,
): ParamRequest | undefined {
  if (biases.every((b) => b === undefined)) return undefined;
  return { layout: 'vector', gated, parts: parts.map((w, i) => biases[i] ?? Number(w.shape[0])) };
}

function fusedLinear(lowering: Lowering): KernelCall {
  const { node } = lowering;
  const parts = ['w0', 'w1', 'w2'].map((n) => node.inputs[n]).filter((w) => w !== undefined);
  const gated = node.attrs.combine === 'gate';
  return linearCall(lowering, {
    weight: { layout: 'panels', gated, parts },
    bias: biasOf(
      ['b0', 'b1', 'b2'].slice(0, parts.length).map((n) => node.inputs[n]),
      parts,
      gated,
    ),
    residual: node.inputs.residual,
    activation: indexOf(activations, node.attrs.activation),
  });
}

function plainLinear(lowering: Lowering): KernelCall {
  const { node } = lowering;
  const w = input(node, 'w');
  if (w.kind !== 'param') return trainedLinear(lowering);
  return linearCall(lowering, {
    weight: weights(w),
    bias: biasOf([node.inputs.bias], [w], false),
    residual: undefined,
    activation: 0,
  });
}

interface Product {
  readonly a: Value;
  readonly b: Value;
  readonly y: Value;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly compute: unknown;
  readonly bias?: Value | undefined;
  readonly residual?: Value | undefined;
}

/**
 * y = op(a)·op(b) + bias + residual, both sides row-major: b is packed, and a is transposed or rounded, once for all products of
 * matrices that take it so.
 */
function product(lowering: Lowering, { a, b, y, bias, residual, ...attrs }: Product): KernelCall {
  const { room, prepared, traits } = lowering;
  const rank = y.shape.length;
  if (a.shape.length !== rank || b.shape.length !== rank)
    throw new ShapeError('matmul: the CPU takes operands of one rank');
  const n = y.shape[rank - 1] as Dim;
  if (typeof n !== 'number')
    throw new ShapeError(`matmul: the CPU takes a right side of fixed width, got ${n}`);
  const k = b.shape[rank - (attrs.transposeB ? 1 : 2)] as Dim;
  const bf16 = attrs.compute === 'bf16' && traits.bf16Dot;
  const panels = Math.ceil(n / panel);
  const form = (side: string, transposed: boolean): string =>
    `${side}${transposed ? ' transposed' : ''}${bf16 ? ' bf16' : ''}`;
  const place = (operand: Value, name: string, shape: Value['shape']) =>
    rank === 2 ? prepared(operand, name, shape) : { room: room('f32', shape), filled: false };
  const right = place(b, form('panels', attrs.transposeB), [panels, k, panel]);
  const left =
    bf16 || attrs.transposeA
      ? place(a, form('rows', attrs.transposeA), [y.shape[rank - 2] as Dim, k])
      : undefined;
  return {
    kernel: 'matmul',
    inputs: [a, b, bias, residual],
    outputs: [y, right.room, ...(left ? [left.room] : []), ...(bias ? [room('f32', [panels * panel])] : [])],
    attrs: [attrs.transposeA, attrs.transposeB, bf16, left?.filled ?? false, right.filled].map(Number),
  };
}

function matmul(lowering: Lowering): KernelCall {
  const { node } = lowering;
  const { transposeA, transposeB, compute } = node.attrs;
  const { bias, residual } = node.inputs;
  return product(lowering, {
    bias,
    residual,
    a: input(node, 'a'),
    b: input(node, 'b'),
    y: node.outputs.y as Value,
    transposeA: transposeA === true,
    transposeB: transposeB === true,
    compute,
  });
}

/** A linear whose weight changes from run to run: a trainable one is never packed for good. */
function trainedLinear(lowering: Lowering): KernelCall {
  const { node } = lowering;
  const [x, y] = [input(node, 'x'), node.outputs.y as Value];
  const { bias } = node.inputs;
  return product(lowering, {
    a: x,
    b: input(node, 'w'),
    y,
    transposeA: false,
    transposeB: true,
    compute: node.attrs.compute,
    bias,
  });
}

/** A table that is no parameter (one that is trained) lies in rows. */
function embedding(node: Node): KernelCall {
  const w = input(node, 'w');
  if (w.kind === 'state' || w.kind === 'node')
    return { ...plain(node, ['w', 'ids']), kernel: 'embedding_rows' };
  return { ...plain(node, ['w', 'ids']), inputs: [weights(w), input(node, 'ids')] };
}

const attention = ['scale', 'causal', 'window', 'softcap'];

/** The kernel steps of each op that the CPU has kernels for. What is not here is decomposed; a primitive that is not here cannot run. */
export const cpuLowerings: Readonly<Record<string, (lowering: Lowering) => readonly KernelCall[]>> = {
  unary: ({ node }) => [plain(node, ['x'], [indexOf(unaryFunctions, node.attrs.fn)])],
  binary: ({ node }) => [plain(node, ['a', 'b'], [indexOf(binaryFunctions, node.attrs.fn)])],
  reduce: ({ node }) => [plain(node, ['x'], [indexOf(reduceFunctions, node.attrs.fn), attr(node, 'axis')])],
  unary_grad: ({ node }) => [plain(node, ['v', 'dy'], [indexOf(unaryDerivatives, node.attrs.fn)])],
  reduce_grad: ({ node }) => [
    plain(node, ['dy', 'x', 'y'], [indexOf(reduceFunctions, node.attrs.fn), attr(node, 'axis')]),
  ],
  softmax: ({ node }) => [plain(node, ['x'], [attr(node, 'axis'), attr(node, 'log')])],
  matmul: (lowering) => [matmul(lowering)],
  matmul_add: (lowering) => [matmul(lowering)],
  linear: (lowering) => [plainLinear(lowering)],
  quantized_linear: (lowering) => [plainLinear(lowering)],
  quantize_rows: ({ node }) => [plain(node, ['x'])],
  fused_linear: (lowering) => [fusedLinear(lowering)],
  embedding: ({ node }) => [embedding(node)],
  gather_rows: ({ node }) => [plain(node, ['x', 'rows'])],
  rms_norm: ({ node }) => [plain(node, ['x', 'weight'], [attr(node, 'eps')])],
  layer_norm: ({ node }) => [plain(node, ['x', 'weight', 'bias'], [attr(node, 'eps')])],
  rms_norm_quantized: ({ node }) => [plain(node, ['x', 'weight'], [attr(node, 'eps')])],
  layer_norm_quantized: ({ node }) => [plain(node, ['x', 'weight', 'bias'], [attr(node, 'eps')])],
  rope_table: ({ node }) => [plain(node, ['positions', 'inv_freq', 'set'], [attr(node, 'scale')])],
  rope_kv_write: ({ node }) => [
    plain(
      node,
      ['qkv', 'k_cache', 'v_cache', 'slots', 'cos', 'sin', 'q_norm', 'k_norm'],
      ['heads', 'interleaved', 'eps'].map((n) => attr(node, n)),
    ),
  ],
  kv_write: ({ node }) => [plain(node, ['k', 'v', 'k_cache', 'v_cache', 'slots'])],
  kv_copy: ({ node }) => [plain(node, ['k_cache', 'v_cache', 'from', 'to'])],
  paged_attention: ({ node }) => [
    plain(
      node,
      ['q', 'k_cache', 'v_cache', 'q_starts', 'context_lens', 'block_tables', 'slopes'],
      attention.map((n) => attr(node, n)),
    ),
  ],
  attention: ({ node }) => [
    plain(
      node,
      ['q', 'k', 'v', 'q_starts', 'k_starts', 'slopes'],
      attention.map((n) => attr(node, n)),
    ),
  ],
  sample: ({ node }) => [plain(node, ['logits', 'row_floats', 'row_ints', 'lists'])],
  ...layoutLowerings,
  ...pictureLowerings,
  ...trainingLowerings,
};

/** Primitives that the CPU does without, and why. */
export const cpuExclusions: Readonly<Record<string, string>> = {
  padded_attention: 'a padded batch is what other runtimes take; here rows are packed',
};
