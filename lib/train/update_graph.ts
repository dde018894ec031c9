import { Graph } from '../ir/graph.js';
import type { Value } from '../ir/value.js';
import { adamw } from '../ops/adamw.js';
import { add } from '../ops/binary.js';
import { ema } from '../ops/ema.js';
import { fill } from '../ops/fill.js';
import { sgd } from '../ops/sgd.js';
import { sumSquares } from '../ops/sum_squares.js';
import { gradientState } from './loss_graph.js';

export type Optimizer = 'adamw' | 'sgd';

/** Numbers of an optimizer step as the ops take them: see {@link adamw} and {@link sgd}. */
const hyperWidth: Readonly<Record<Optimizer, number>> = { adamw: 8, sgd: 4 };

/** States that an optimizer keeps for a weight. */
export const optimizerStates: Readonly<Record<Optimizer, readonly string[]>> = {
  adamw: ['exp_avg', 'exp_avg_sq'],
  sgd: ['momentum_buffer'],
};

export const optimizerState = (kind: string, name: string): string => `${kind}.${name}`;
/** The moving average of a weight. */
export const averageState = (name: string): string => `ema.${name}`;

export interface UpdateGraphOptions {
  readonly weights: ReadonlyMap<string, readonly number[]>;
  readonly optimizer: Optimizer;
  readonly nesterov: boolean;
  /** Whether moving averages of the weights are kept. */
  readonly average: boolean;
  /** Whether weights of that shape decay. */
  readonly decays: (shape: readonly number[]) => boolean;
}

/** Output `squares` [1]: the sum of the squares of all gradients. */
export function buildNormGraph(weights: ReadonlyMap<string, readonly number[]>): Graph {
  const graph = new Graph();
  const squares = [...weights].map(([name, shape]) =>
    sumSquares(graph.state(gradientState(name), 'f32', shape)),
  );
  graph.output('squares', squares.reduce(add));
  return graph;
}

/**
 * One optimizer step over all weights; gradients are 0 afterwards. Inputs: `hyper` and `hyper_without_decay` f32 [8] (of SGD [4]), and with
 * averages `average` f32 [1], the share of the average that stays.
 */
export function buildUpdateGraph({
  weights,
  optimizer,
  nesterov,
  average,
  decays,
}: UpdateGraphOptions): Graph {
  const graph = new Graph();
  for (const [name, shape] of weights) {
    const state = (key: string): Value => graph.state(key, 'f32', shape);
    const hyper = graph.input(decays(shape) ? 'hyper' : 'hyper_without_decay', 'f32', [
      hyperWidth[optimizer],
    ]);
    const grad = state(gradientState(name));
    const [first = '', second = ''] = optimizerStates[optimizer];
    const param =
      optimizer === 'adamw'
        ? adamw({
            param: state(name),
            m: state(optimizerState(first, name)),
            v: state(optimizerState(second, name)),
            grad,
            hyper,
          }).param
        : sgd({ param: state(name), momentum: state(optimizerState(first, name)), grad, hyper }, nesterov)
            .param;
    if (average) ema(state(averageState(name)), param, graph.input('average', 'f32', [1]));
    fill(grad, 0);
  }
  return graph;
}
