import { gradients } from '../autodiff/gradients.js';
import { Graph } from '../ir/graph.js';
import type { Value } from '../ir/value.js';
import type { TextConfig, TextFamily } from '../models/family.js';
import { Scope } from '../nn/scope.js';
import { SequenceInputs } from '../nn/sequence_inputs.js';
import { accumulate } from '../ops/accumulate.js';
import { mul } from '../ops/binary.js';
import { crossEntropy } from '../ops/cross_entropy.js';
import type { Compute } from '../ops/matmul.js';
import { reduce } from '../ops/reduce.js';
import { shareLoss } from '../passes/fuse_cross_entropy.js';
import { makeTrainable } from '../passes/make_trainable.js';
import { prepareForTraining } from '../passes/pipeline.js';

export interface LossGraphOptions {
  /** What products with weights are computed in. */
  readonly compute: Compute;
  /** Probability mass that is spread evenly over the vocabulary: label smoothing of torch's `cross_entropy`. */
  readonly labelSmoothing: number;
  /** Whether gradients are added to the states `grad.NAME`. */
  readonly gradients: boolean;
  /** Keep only the rows between layers for the backward pass, and compute the rest again. */
  readonly recompute: boolean;
}

/** The sum of gradients of the weight `name` in the state of that name. */
export const gradientState = (name: string): string => `grad.${name}`;

/** A trainable model's graph: its weights are states. */
export interface LossGraph {
  readonly graph: Graph;
  /** Shapes of the weights, by name. */
  readonly weights: ReadonlyMap<string, readonly number[]>;
}

/**
 * A family's loss over packed sequences. Inputs: `tokens`, `positions`, `labels` i32 [T] (−100: no label), `starts` i32 [B1] (see
 * {@link SequenceInputs}), `loss_weights` f32 [T]. Outputs: `loss` [1] = Σ weight · cross-entropy in nats; the gradients of that.
 */
export function buildLossGraph<C extends TextConfig>(
  family: TextFamily<C>,
  config: C,
  options: LossGraphOptions,
): LossGraph {
  const forward = new Graph();
  const scope = new Scope(forward, () => 'f32');
  const hidden = family.forward(scope, config, new SequenceInputs(forward));
  const logits = family.head(scope, config, hidden.at(-1) as Value);
  const losses = crossEntropy(logits, forward.input('labels', 'i32', ['T']), options.labelSmoothing); // [T]
  const loss = reduce('sum', mul(losses, forward.input('loss_weights', 'f32', ['T'])), 0); // [1]
  hidden.forEach((rows, i) => {
    forward.output(`hidden.${i}`, rows);
  });
  forward.output('loss', loss);
  const { graph, weights } = makeTrainable(prepareForTraining(forward), () => true, options.compute);
  const { loss: trained, ...kept } = Object.fromEntries(graph.outputs) as Record<string, Value> & {
    readonly loss: Value;
  };
  graph.outputs.clear();
  graph.output('loss', trained);
  const states = [...weights.values()];
  const shapes = new Map(states.map(({ name, shape }) => [name, shape as number[]]));
  if (!options.gradients) return { graph, weights: shapes };
  gradients(trained, states, {
    ...(options.recompute ? { keep: [...Object.values(kept), ...headRows(graph)] } : {}),
    onGradient: ({ name, shape }, gradient) =>
      accumulate(graph.state(gradientState(name), 'f32', shape), gradient),
  });
  return { graph: shareLoss(graph), weights: shapes };
}

/** The rows of the output layer and their losses: kept, so that the loss and its gradient are of the same rows. */
const headRows = (graph: Graph): Value[] =>
  graph.nodes
    .filter(({ op }) => op === 'linear_cross_entropy')
    .flatMap(({ inputs, outputs }) => [inputs.x as Value, outputs.loss as Value]);
