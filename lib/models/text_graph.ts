import type { DType } from '../dtype.js';
import { Graph, graphOf } from '../ir/graph.js';
import { sizeOf } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { PaddedInputs } from '../nn/padded_inputs.js';
import { Scope } from '../nn/scope.js';
import { SourceInputs } from '../nn/source_inputs.js';
import { PackedInputs } from '../nn/text_inputs.js';
import { gatherRows } from '../ops/gather_rows.js';
import { reshape } from '../ops/reshape.js';
import { sample } from '../ops/sample.js';
import { floatColumns, intColumns } from '../ops/sampling/row.js';
import { logSoftmax } from '../ops/softmax.js';
import type { TextConfig, TextFamily } from './family.js';

export interface TextGraphOptions {
  /**
   * `logits` [R, V] of the rows asked for; `logprobs` [R] of one id for each of these; `hidden.0` … of all rows; or the ids that the
   * sampler draws from those logits. Of an encoder: nothing, as what the decoder needs is kept; or its own `hidden.0` …
   */
  readonly output: 'logits' | 'logprobs' | 'hidden' | 'sample' | 'encode' | 'encoded';
  readonly dtypeOf: (name: string) => DType;
  /** Blocks of the KV pool. */
  readonly blocks: number;
}

/** A family's graph for packed rows (see {@link PackedInputs}) with what a run is to return. */
export function buildTextGraph<C extends TextConfig>(
  family: TextFamily<C>,
  config: C,
  options: TextGraphOptions,
): Graph {
  const graph = new Graph();
  const scope = new Scope(graph, options.dtypeOf);
  const encodes = options.output === 'encode' || options.output === 'encoded';
  const hidden = encodes
    ? encode(family, config, scope, options.blocks)
    : family.forward(scope, config, new PackedInputs(graph, options.blocks));
  if (options.output === 'hidden' || options.output === 'encoded') {
    hidden.forEach((h, i) => {
      graph.output(`hidden.${i}`, h);
    });
  }
  if (encodes || options.output === 'hidden') return graph;
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

function encode<C extends TextConfig>(
  family: TextFamily<C>,
  config: C,
  scope: Scope,
  blocks: number,
): readonly Value[] {
  if (!family.encode) throw new Error(`${family.name}: has no encoder`);
  return family.encode(scope, config, new SourceInputs(scope.graph, blocks));
}

/** Log-probability of one id a row. logits [R, V]; the i32 input `cells` [R] holds r · V + id → [R]. */
function logprobsOf(logits: Value): Value {
  const cells = graphOf(logits).input('cells', 'i32', ['R']);
  const column = reshape(logSoftmax(logits), [sizeOf(logits.shape), 1]); // [R·V, 1]
  return reshape(gatherRows(column, cells), ['R']);
}

/**
 * A family's graph for a padded batch (see {@link PaddedInputs}): the logits of every row, and all keys and values.
 * Throws UnsupportedError for a configuration that such a graph cannot express.
 */
export function buildPaddedTextGraph<C extends TextConfig>(
  family: TextFamily<C>,
  config: C,
  dtypeOf: (name: string) => DType,
): Graph {
  const graph = new Graph();
  const scope = new Scope(graph, dtypeOf);
  const inputs = new PaddedInputs(graph);
  const last = family.forward(scope, config, inputs).at(-1);
  if (!last) throw new Error(`${family.name}: forward returned no hidden state`);
  const logits = family.head(scope, config, last); // [B·S, V]
  graph.output('logits', reshape(logits, inputs.batched(logits)));
  inputs.outputPresents();
  return graph;
}
