import type { Node, Value } from '../ir/value.js';
import { activations } from '../ops/activation_functions.js';
import { poolFunctions } from '../ops/pool2d.js';
import type { KernelCall } from '../plan/kernel_call.js';
import { attr, indexOf, input, type Lowering, plain } from './lowering.js';

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

/** The weights' gradient is summed in parts of the pictures: as many as their memory allows, whatever the pictures' sizes. */
const mostParts = 16;
const mostPartsNumbers = 2 ** 20;
const partsOf = ({ shape }: Value): number =>
  Math.max(
    1,
    Math.min(mostParts, Math.floor(mostPartsNumbers / shape.reduce<number>((n, d) => n * Number(d), 1))),
  );

/** The kernel steps of the ops over pictures. */
export const pictureLowerings: Readonly<Record<string, (lowering: Lowering) => readonly KernelCall[]>> = {
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
};
