import type { Graph } from '../../../lib/ir/graph.js';
import { evalShape } from '../../../lib/ir/shape.js';
import type { Value } from '../../../lib/ir/value.js';
import { add, binary, mul, sub } from '../../../lib/ops/binary.js';
import { meanLast } from '../../../lib/ops/mean_last.js';
import { reduce } from '../../../lib/ops/reduce.js';
import { reshape } from '../../../lib/ops/reshape.js';
import { scalar } from '../../../lib/ops/scalar.js';
import { unary } from '../../../lib/ops/unary.js';

/** Inputs of one golden entry, by their index. */
export interface Operands {
  readonly graph: Graph;
  x(i: number): Value;
  ids(i: number): Value;
  param(i: number): Value;
  /** What the graph may know when it is built. */
  numbers(i: number): readonly number[];
}
/** A golden entry in our ops. Only the numbers and their order count, not the axes of size 1. */
export type Build = (o: Operands) => Value;

export const shapeOf = (x: Value): number[] => evalShape(x.shape, {});
const sizeOf = (x: Value): number => shapeOf(x).reduce((n, d) => n * d, 1);

export const plus = (x: Value, c: number): Value => add(x, scalar(x, c));
export const times = (x: Value, c: number): Value => mul(x, scalar(x, c));
export const square = (x: Value): Value => mul(x, x);
export const div = (a: Value, b: Value): Value => binary('div', a, b);
const flat = (x: Value): Value => reshape(x, [sizeOf(x)]);
export const meanAll = (x: Value): Value => meanLast(flat(x));
export const sumAll = (x: Value): Value => reduce('sum', flat(x), 0);
export const sumLast = (x: Value): Value => reduce('sum', x, -1);

/** log(1 + eˣ), safe for large x. */
export const softplus = (x: Value): Value =>
  add(unary('relu', x), unary('log', plus(unary('exp', unary('neg', unary('abs', x))), 1)));

/** (x − mean) / √(var + eps) over the last axis. */
export function standardize(x: Value, eps: number): Value {
  const centered = sub(x, meanLast(x));
  return mul(centered, unary('rsqrt', plus(meanLast(square(centered)), eps)));
}

/** Σ exp over the last axis, by its logarithm. */
export function logSumExp(x: Value): Value {
  const max = reduce('max', x, -1);
  return add(unary('log', sumLast(unary('exp', sub(x, max)))), max);
}

/** 1 where a number of `x` [..., 1] is the index along the new last axis of size n. */
export const oneHot = (x: Value, graph: Graph, n: number): Value =>
  binary(
    'equal',
    x,
    graph.constant(
      'f32',
      [n],
      Array.from({ length: n }, (_, i) => i),
    ),
  );

/** x / max(‖x‖, 1e-12) over the last axis. */
export const normalize = (x: Value): Value =>
  div(x, binary('max', unary('sqrt', sumLast(square(x))), scalar(x, 1e-12)));
