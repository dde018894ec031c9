import { UnsupportedError } from '../errors.js';
import type { Graph } from '../ir/graph.js';
import { type Dim, mulDims, type Shape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { paddedAttention } from '../ops/padded_attention.js';
import { reshape } from '../ops/reshape.js';
import { ropeTable } from '../ops/rope_table.js';
import type { RopeFrequencies } from './rope_frequencies.js';
import type { AttendOptions, TextInputs } from './text_inputs.js';

// Sizes of a padded batch, as the exported file names them.
const batch = 'batch_size';
const length = 'sequence_length';
const past = 'past_sequence_length';
const total = 'total_sequence_length'; // past and sequence

/**
 * Rows of a padded batch, keys and values of earlier tokens going in and all of them coming out: inputs and outputs have the names
 * that Hugging Face's optimum gives them. To the family the batch is one row axis of batch · sequence.
 */
export class PaddedInputs implements TextInputs {
  readonly tokens: Value;
  readonly positions: Value;
  readonly #graph: Graph;
  readonly #mask: Value;
  readonly #presents = new Map<string, Value>();

  constructor(graph: Graph) {
    this.#graph = graph;
    const rows = (name: string): Value => reshape(graph.input(name, 'i64', [batch, length]), [this.rows]);
    this.tokens = rows('input_ids');
    this.#mask = graph.input('attention_mask', 'i64', [batch, total]);
    this.positions = rows('position_ids');
  }

  get rows(): Dim {
    return mulDims(batch, length);
  }

  /** The shape of values [B·S, …] with the batch as an axis of its own. */
  batched(value: Value): Shape {
    return [batch, length, ...value.shape.slice(1)];
  }

  ropeTable(rope: RopeFrequencies): { readonly cos: Value; readonly sin: Value } {
    if (rope.dynamic)
      throw new UnsupportedError(
        'export: rope_scaling "dynamic" turns keys by frequencies that change with the length of each sequence, which a graph with past keys as inputs cannot follow',
      );
    const inv_freq = this.#graph.constant('f32', [1, rope.invFreq.length], rope.invFreq);
    return ropeTable({ positions: this.positions, inv_freq }, { scale: rope.scale });
  }

  attend(layer: number, q: Value, k: Value, v: Value, { slopes, ...attrs }: AttendOptions): Value {
    const [, heads = 0, d = 0] = k.shape;
    const earlier = (name: string): Value =>
      this.#graph.input(`past_key_values.${layer}.${name}`, 'f32', [batch, heads, past, d]);
    const [queries, keys, values] = [q, k, v].map((x) => reshape(x, this.batched(x))) as [
      Value,
      Value,
      Value,
    ];
    const { y, present_k, present_v } = paddedAttention(
      {
        q: queries,
        k: keys,
        v: values,
        past_k: earlier('key'),
        past_v: earlier('value'),
        mask: this.#mask,
        slopes,
      },
      { scale: attrs.scale, window: attrs.window ?? 0, softcap: attrs.softcap ?? 0 },
    );
    this.#presents.set(`present.${layer}.key`, present_k).set(`present.${layer}.value`, present_v);
    return reshape(y, q.shape);
  }

  attendSource(): Value {
    throw new UnsupportedError('export: an encoder-decoder is not exported');
  }

  /** Declares the keys and values that come out, after the graph's other outputs. */
  outputPresents(): void {
    for (const [name, value] of this.#presents) this.#graph.output(name, value);
  }
}
