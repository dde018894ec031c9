import type { DType } from '../dtype.js';
import { Graph, graphOf } from '../ir/graph.js';
import { sizeOf } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { Scope } from '../nn/scope.js';
import { TextInputs } from '../nn/text_inputs.js';
import { gatherRows } from '../ops/gather_rows.js';
import { reshape } from '../ops/reshape.js';
import { sample } from '../ops/sample.js';
import { floatColumns, intColumns } from '../ops/sampling/row.js';
import { logSoftmax } from '../ops/softmax.js';
import type { TextConfig, TextFamily } from './family.js';

export interface TextGraphOptions {
  /**
   * `logits` [R, V] of the rows asked for; `logprobs` [R] of one id for each of these; `hidden.0` … of all rows; or the ids that the
   * sampler draws from those logits.
   */
  readonly output: 'logits' | 'logprobs' | 'hidden' | 'sample';
  readonly dtypeOf: (name: string) => DType;
  /** Blocks of the KV pool. */
  readonly blocks: number;
}

/** A family's graph for packed rows (see {@link TextInputs}) with what a run is to return. */
export function buildTextGraph<C extends TextConfig>(
  family: TextFamily<C>,
  config: C,
  options: TextGraphOptions,
): Graph {
  const graph = new Graph();
  const scope = new Scope(graph, options.dtypeOf);
  const hidden = family.forward(scope, config, new TextInputs(graph, options.blocks));
  if (options.output === 'hidden') {
    hidden.forEach((h, i) => {
      graph.output(`hidden.${i}`, h);
    });
    return graph;
  }
  const last = hidden.at(-1);
  if (!last) throw new Error(`${family.name}: forward returned no hidden state`);
  const logits = family.head(scope, config, gatherRows(last, graph.input('logit_rows', 'i32', ['R'])));
  if (options.output === 'logits') graph.output('logits', logits);
  else if (options.output === 'logprobs') graph.output('logprobs', logprobsOf(logits));
  else {
    const drawn = sample(
      {
        logits,
        row_floats: graph.input('row_floats', 'f32', ['R', floatColumns]),
        row_ints: graph.input('row_ints', 'i32', ['R', intColumns]),
        lists: graph.input('lists', 'i32', ['L']),
      },
      { k: 'K' },
    );
    for (const [name, value] of Object.entries(drawn)) graph.output(name, value);
  }
  return graph;
}

/** Log-probability of one id a row. logits [R, V]; the i32 input `cells` [R] holds r · V + id → [R]. */
function logprobsOf(logits: Value): Value {
  const cells = graphOf(logits).input('cells', 'i32', ['R']);
  const column = reshape(logSoftmax(logits), [sizeOf(logits.shape), 1]); // [R·V, 1]
  return reshape(gatherRows(column, cells), ['R']);
}
