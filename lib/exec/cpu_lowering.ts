import { q8Group } from '../dtype.js';
import { type Dim, ShapeError } from '../ir/shape.js';
import type { Node, Value } from '../ir/value.js';
import { activations } from '../ops/activation_functions.js';
import { binaryFunctions } from '../ops/binary.js';
import { poolFunctions } from '../ops/pool2d.js';
import { reduceFunctions } from '../ops/reduce.js';
import { unaryFunctions } from '../ops/unary.js';
import { unaryDerivatives } from '../ops/unary_grad.js';
import type { KernelCall, Operand, ParamRequest } from '../plan/kernel_call.js';
import { attr, indexOf, input, type Lowering, plain } from './lowering.js';
import { trainingLowerings } from './training_lowering.js';

/** Output columns of a weight panel: kPanel in kernels/cpu/kernel.h. */
const panel = 16;

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

/** One copy of a block: the axes of x in y's order, where it begins in x, and where in y. */
const copy = (
  x: Value,
  y: Value,
  axes: readonly number[],
  from: readonly number[],
  to: readonly number[],
): KernelCall => ({
  kernel: 'copy',
  inputs: [x],
  outputs: [y],
  attrs: [...axes, ...from, ...to],
});

const ordered = (v: Value): number[] => v.shape.map((_, i) => i);
const only = (v: Value, axis: number, at: number): number[] => v.shape.map((_, i) => (i === axis ? at : 0));

const pairOf = (node: Node, name: string): readonly number[] => node.attrs[name] as readonly number[];

const convolution = (node: Node): readonly number[] => [
  ...pairOf(node, 'stride'),
  ...pairOf(node, 'padding'),
  attr(node, 'groups'),
];

const pooling = (node: Node): readonly number[] => [
  indexOf(poolFunctions, node.attrs.fn),
  ...['kernel', 'stride', 'padding'].flatMap((n) => pairOf(node, n)),
];

/** Weights of a convolution are f32 rows as they are: what a linear packs in panels are the pixels here. */
const conv2d = (node: Node): KernelCall => ({
  kernel: 'conv2d',
  inputs: ['x', 'w', 'bias', 'residual'].map((n) => node.inputs[n]),
  outputs: [node.outputs.y as Value],
  attrs: [...convolution(node), indexOf(activations, node.attrs.activation ?? 'none')],
});

/** A table that is no parameter (one that is trained) lies in rows. */
function embedding(node: Node): KernelCall {
  const w = input(node, 'w');
  if (w.kind === 'state' || w.kind === 'node')
    return { ...plain(node, ['w', 'ids']), kernel: 'embedding_rows' };
  return { ...plain(node, ['w', 'ids']), inputs: [weights(w), input(node, 'ids')] };
}

/** The weights' gradient is summed in parts of the pictures: as many as their memory allows, whatever the pictures' sizes. */
const mostParts = 16;
const mostPartsNumbers = 2 ** 20;
const partsOf = ({ shape }: Value): number =>
  Math.max(
    1,
    Math.min(mostParts, Math.floor(mostPartsNumbers / shape.reduce<number>((n, d) => n * Number(d), 1))),
  );

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
  pad: ({ node }) => [
    plain(
      node,
      ['x'],
      ['axis', 'before', 'after'].map((n) => attr(node, n)),
    ),
  ],
  softmax: ({ node }) => [plain(node, ['x'], [attr(node, 'axis'), attr(node, 'log')])],
  reshape: () => [],
  transpose({ node }) {
    const [x, y] = [input(node, 'x'), node.outputs.y as Value];
    return [
      copy(
        x,
        y,
        node.attrs.axes as readonly number[],
        y.shape.map(() => 0),
        y.shape.map(() => 0),
      ),
    ];
  },
  slice({ node }) {
    const [x, y] = [input(node, 'x'), node.outputs.y as Value];
    return [
      copy(
        x,
        y,
        ordered(y),
        only(y, attr(node, 'axis'), attr(node, 'begin')),
        y.shape.map(() => 0),
      ),
    ];
  },
  concat({ node }) {
    const [a, b, y, axis] = [input(node, 'a'), input(node, 'b'), node.outputs.y as Value, attr(node, 'axis')];
    const none = y.shape.map(() => 0);
    return [
      copy(a, y, ordered(y), none, none),
      copy(b, y, ordered(y), none, only(y, axis, Number(a.shape[axis]))),
    ];
  },
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
  conv2d: ({ node }) => [conv2d(node)],
  fused_conv2d: ({ node }) => [conv2d(node)],
  conv2d_grad_x({ node, room }) {
    const { kernel, inputs, outputs } = plain(node, ['dy', 'w']);
    return [
      {
        kernel,
        inputs,
        outputs: [...outputs, room('f32', input(node, 'w').shape)],
        attrs: convolution(node),
      },
    ];
  },
  conv2d_grad_w({ node, room }) {
    const dw = node.outputs.dw as Value;
    const { kernel, inputs, outputs } = plain(node, ['x', 'dy']);
    const parts = room('f32', [partsOf(dw), ...dw.shape]);
    return [{ kernel, inputs, outputs: [...outputs, parts], attrs: convolution(node) }];
  },
  pool2d: ({ node }) => [plain(node, ['x'], pooling(node))],
  pool2d_grad: ({ node }) => [plain(node, ['dy', 'x', 'y'], pooling(node))],
  upsample2d: ({ node }) => [plain(node, ['x'], [attr(node, 'scale')])],
  group_norm: ({ node }) => [
    plain(
      node,
      ['x', 'weight', 'bias'],
      ['groups', 'eps'].map((n) => attr(node, n)),
    ),
  ],
  group_norm_grad: ({ node }) => [
    plain(
      node,
      ['x', 'weight', 'dy'],
      ['groups', 'eps'].map((n) => attr(node, n)),
    ),
  ],
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
  ...trainingLowerings,
};

/** Primitives that the CPU does without, and why. */
export const cpuExclusions: Readonly<Record<string, string>> = {
  padded_attention: 'a padded batch is what other runtimes take; here rows are packed',
};
