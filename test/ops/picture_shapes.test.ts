import { describe, expect, test } from 'vitest';
import { Graph } from '../../lib/ir/graph.js';
import type { Dim, Shape } from '../../lib/ir/shape.js';
import type { Value } from '../../lib/ir/value.js';
import { type Conv2dOptions, conv2d } from '../../lib/ops/conv2d.js';
import { groupNorm } from '../../lib/ops/group_norm.js';
import { pool2d } from '../../lib/ops/pool2d.js';
import { upsample2d } from '../../lib/ops/upsample2d.js';

const x = (shape: Shape): Value => new Graph().input('x', 'f32', shape);
const conv = (shape: Shape, w: readonly number[], options: Conv2dOptions = {}): Value => {
  const graph = new Graph();
  return conv2d(graph.input('x', 'f32', shape), graph.param('w', 'f32', w), options);
};
const norm = (shape: Shape, groups: number): Value => {
  const graph = new Graph();
  const [weight, bias] = ['w', 'b'].map((name) => graph.param(name, 'f32', [Number(shape[1])])) as [
    Value,
    Value,
  ];
  return groupNorm(graph.input('x', 'f32', shape), weight, bias, { groups, eps: 0 });
};

describe('sizes of pictures', () => {
  const same = { padding: 1 };
  test.each<[string, Value, readonly Dim[]]>([
    ['no padding', conv([2, 3, 10, 7], [4, 3, 3, 3]), [2, 4, 8, 5]],
    ['stride 2 of an odd size', conv([1, 3, 7, 9], [4, 3, 3, 3], { ...same, stride: 2 }), [1, 4, 4, 5]],
    ['a pair', conv([1, 3, 7, 9], [4, 3, 1, 3], { stride: [3, 1], padding: [0, 2] }), [1, 4, 3, 11]],
    ['symbols', conv(['N', 3, 'H', '2*W'], [4, 3, 3, 3], same), ['N', 4, 'H', '2*W']],
    ['symbols, halved', conv([1, 3, '8*H', '2*W'], [4, 3, 3, 3], { ...same, stride: 2 }), [1, 4, '4*H', 'W']],
    ['pooled', pool2d('max', x([1, 3, '2*H', 9]), 2), [1, 3, 'H', 4]],
    ['upsampled', upsample2d(x([1, 3, '2*H', 9]), 3), [1, 3, '6*H', 27]],
  ])('%s', (_, value, shape) => {
    expect(value.shape).toEqual(shape);
  });
});

describe('pictures that do not fit are told of', () => {
  test.each<[() => Value, RegExp]>([
    [
      () => conv([1, 6, 8, 8], [4, 3, 3, 3]),
      /conv2d: expected w of \[O, 6 \/ groups.* f32\[1,6,8,8\], got f32\[4,3,3,3\] and 1 groups/,
    ],
    [() => conv([1, 6, 8, 8], [4, 3, 3, 3], { groups: 3 }), /O a multiple of the groups/],
    [() => conv([1, 6, 8, 8], [4, 3, 3, 3], { groups: 0 }), /0 groups/],
    [() => conv([6, 8, 8], [4, 6, 3, 3]), /expected x of \[N, C, H, W\], got f32\[6,8,8\]/],
    [() => conv([1, 6, 8, 8], [4, 54]), /expected w of f32 \[O, C \/ groups, kernel height/],
    [() => conv([1, 'C', 8, 8], [4, 6, 3, 3]), /the channels of x to be a fixed size, got C/],
    [
      () => conv([1, 6, 2, 8], [4, 6, 3, 3]),
      /a window that fits into the height 2, got kernel 3, stride 1 and padding 0; pad it/,
    ],
    [() => conv([1, 6, 8, 2], [4, 6, 3, 3]), /the width 2/],
    [() => conv([1, 6, 8, 8], [4, 6, 3, 3], { stride: 0 }), /stride of at least 1/],
    [() => conv([1, 6, 8, 8], [4, 6, 3, 3], { padding: -1 }), /padding of at least 0/],
    [() => conv([1, 6, 8, 8], [4, 6, 3, 3], { bias: x([4]) }), /different graphs/],
    [() => conv([1, 6, 'H', 8], [4, 6, 3, 3]), /a window that leaves height H \/ stride whatever the size/],
    [() => conv([1, 6, '3*H', 8], [4, 6, 3, 3], { padding: 1, stride: 2 }), /height 3\*H/],
    [() => pool2d('mean', x([1, 3, 8]), 2), /pool2d: expected x of \[N, C, H, W\]/],
    [() => pool2d('mean', x([1, 3, 8, 8]), 2, { padding: 2 }), /a padding of at most half the kernel/],
    [() => upsample2d(x([1, 3, 8]), 2), /upsample2d: expected x of/],
    [() => upsample2d(x([1, 3, 8, 8]), 1.5), /an integer of at least 1, got 1.5/],
    [() => norm([1, 6, 8, 8], 4), /group_norm: expected groups to divide the 6 channels, got 4/],
  ])('%s', (make, message) => {
    expect(make).toThrow(
      expect.objectContaining({ code: 'MODEL_FORMAT', message: expect.stringMatching(message) }),
    );
  });
});
