import { type DType, dtypeBytes } from '../dtype.js';
import type { Graph } from '../ir/graph.js';
import { fixedDim } from '../ir/shape.js';
import type { Node, Value } from '../ir/value.js';
import { linearOps } from '../passes/match.js';
import { elementCount } from '../tensor.js';
import type { RoundSize } from './text_rounds.js';

interface LinearCost {
  readonly dtype: DType;
  /** Numbers in the weight: each is read once a step, and costs a multiply-add for each row. */
  readonly numbers: number;
  /** Whether it sees only the rows whose logits are wanted: the output layer. */
  readonly head: boolean;
}

interface AttentionCost {
  /** Bytes of keys and values of one position. */
  readonly positionBytes: number;
  /** Operations for one query and one key, all heads: the score, and the value's share. */
  readonly pairOps: number;
  /** Positions that a query sees; Infinity: all. */
  readonly window: number;
}

/** What the steps of a text model have to read and to compute at least, by its graph. */
export interface TextCost {
  readonly linears: readonly LinearCost[];
  readonly attentions: readonly AttentionCost[];
}

/** The costs of a graph that ends in logits, before any fusion. */
export function textCost(graph: Graph): TextCost {
  return {
    linears: graph.nodes.filter(({ op }) => linearOps.includes(op)).map(linearCost),
    attentions: graph.nodes.filter(({ op }) => op === 'paged_attention').map(attentionCost),
  };
}

function linearCost({ inputs }: Node): LinearCost {
  const [x, w] = [inputs.x, inputs.w] as [Value, Value];
  return { dtype: w.dtype, numbers: elementCount(w.shape as number[]), head: x.shape[0] === 'R' };
}

function attentionCost({ inputs, attrs }: Node): AttentionCost {
  const [q, cache] = [inputs.q, inputs.k_cache] as [Value, Value];
  const size = (value: Value, axis: number): number =>
    fixedDim('attention', `axis ${axis}`, value.shape[axis]);
  return {
    positionBytes: 2 * size(cache, 2) * size(cache, 3) * dtypeBytes[cache.dtype],
    pairOps: 4 * size(q, 1) * size(q, 2),
    window: Number(attrs.window) || Number.POSITIVE_INFINITY,
  };
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0);

/**
 * Bytes that decoding must read: `tokens` steps of `batch` sequences, whose contexts grow from `prompt` + 1 on. Each step reads every
 * weight once, and each sequence the keys and values of its context. An embedding gives single rows, which count as nothing.
 */
export function decodeBytes({ linears, attentions }: TextCost, { prompt, tokens, batch }: RoundSize): number {
  const weights = sum(linears, ({ numbers, dtype }) => numbers * dtypeBytes[dtype]);
  const caches = sum(
    attentions,
    ({ positionBytes, window }) =>
      positionBytes * (causalPairs(prompt + tokens, window) - causalPairs(prompt, window)),
  );
  return tokens * weights + batch * caches;
}

/** Operations that process a prompt of so many tokens and give the logits of the last. */
export function promptOps({ linears, attentions }: TextCost, tokens: number): number {
  const linearOps = sum(linears, ({ numbers, head }) => 2 * numbers * (head ? 1 : tokens));
  return linearOps + sum(attentions, ({ pairOps, window }) => pairOps * causalPairs(tokens, window));
}

/** Pairs of a query and a key that it sees, of so many positions: 1 + 2 + … as far as the window goes. */
function causalPairs(positions: number, window: number): number {
  const growing = Math.min(positions, window);
  return (growing * (growing + 1)) / 2 + (positions - growing) * growing;
}

/** The type of the weights in which most of the arithmetic is done. */
export function mainType({ linears }: TextCost): DType {
  const numbers = new Map<DType, number>();
  for (const linear of linears)
    numbers.set(linear.dtype, (numbers.get(linear.dtype) ?? 0) + (linear.head ? 0 : linear.numbers));
  const [most] = [...numbers].sort(([, a], [, b]) => b - a);
  return most?.[0] ?? 'f32';
}
