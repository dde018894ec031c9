import { UnsupportedError } from '../errors.js';
import type { Graph } from '../ir/graph.js';
import type { Value } from '../ir/value.js';
import { attention } from '../ops/attention.js';
import { ropeTable } from '../ops/rope_table.js';
import type { RopeFrequencies } from './rope_frequencies.js';
import type { AttendOptions, TextInputs } from './text_inputs.js';

/**
 * Rows of whole sequences, one after the other, without a cache: how a model is trained. Symbols: T rows of all sequences,
 * B1 = sequences + 1. A sequence is where attention ends: a document, or the part of one that a row of the batch holds.
 */
export class SequenceInputs implements TextInputs {
  readonly tokens: Value; // i32 [T]
  readonly positions: Value; // i32 [T], within the sequence
  readonly #graph: Graph;

  constructor(graph: Graph) {
    this.#graph = graph;
    this.tokens = graph.input('tokens', 'i32', ['T']);
    this.positions = graph.input('positions', 'i32', ['T']);
  }

  ropeTable(rope: RopeFrequencies): { readonly cos: Value; readonly sin: Value } {
    if (rope.dynamic)
      throw new UnsupportedError(
        'train: rope_scaling "dynamic" depends on how long a text becomes, which training does not know; set another type',
      );
    const inv_freq = this.#graph.constant('f32', [1, rope.invFreq.length], rope.invFreq);
    return ropeTable({ positions: this.positions, inv_freq }, { scale: rope.scale });
  }

  attend(_layer: number, q: Value, k: Value, v: Value, { slopes, ...attrs }: AttendOptions): Value {
    const starts = this.#graph.input('starts', 'i32', ['B1']);
    return attention(
      { q, k, v, slopes, q_starts: starts, k_starts: starts },
      { causal: true, window: 0, softcap: 0, ...attrs },
    );
  }

  attendSource(): Value {
    throw new UnsupportedError('train: encoder-decoder models are not trained yet');
  }
}
