import type { Value } from '../ir/value.js';
import type { KernelCall } from '../plan/kernel_call.js';
import { attr, input, type Lowering, plain } from './lowering.js';

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

/** The kernel steps of ops that move numbers. */
export const layoutLowerings: Readonly<Record<string, (lowering: Lowering) => readonly KernelCall[]>> = {
  pad: ({ node }) => [
    plain(
      node,
      ['x'],
      ['axis', 'before', 'after'].map((n) => attr(node, n)),
    ),
  ],
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
};
