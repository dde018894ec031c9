import type { Graph } from '../ir/graph.js';
import type { Value } from '../ir/value.js';
import type { AttentionAttrs } from '../ops/attention_attrs.js';
import { kvBlockSize, kvWrite } from '../ops/kv_write.js';
import { pagedAttention } from '../ops/paged_attention.js';
import { ropeTable } from '../ops/rope_table.js';
import type { RopeFrequencies } from './rope_frequencies.js';

/** What one layer's attention needs beyond its operands. */
export type AttendOptions = Partial<AttentionAttrs> & { readonly scale: number; readonly slopes?: Value };

/** The row axis of a text model and what came before it. A family sees this only, and never how rows are batched. */
export interface TextInputs {
  readonly tokens: Value; // [T]
  readonly positions: Value; // [T]
  /** cos and sin [T, half] of the rows' positions. */
  ropeTable(rope: RopeFrequencies): { readonly cos: Value; readonly sin: Value };
  /** Causal attention of layer `layer` to what came before and to these rows: q [T, H, D], k and v [T, Hkv, D] → [T, H, D]. */
  attend(layer: number, q: Value, k: Value, v: Value, options: AttendOptions): Value;
}

/**
 * Rows as the server packs them, and its KV cache. Symbols: T rows of all sequences, B sequences, B1 = B + 1, MB blocks of the
 * longest sequence, S sets of rotary frequencies.
 */
export class PackedInputs implements TextInputs {
  readonly graph: Graph;
  /** Blocks of the KV pool. */
  readonly blocks: number;
  readonly tokens: Value; // i32 [T]
  readonly positions: Value; // i32 [T]

  constructor(graph: Graph, blocks: number) {
    this.graph = graph;
    this.blocks = blocks;
    this.tokens = graph.input('tokens', 'i32', ['T']);
    this.positions = graph.input('positions', 'i32', ['T']);
  }

  /** Frequencies that depend on a sequence's length are fed at each run. */
  ropeTable(rope: RopeFrequencies): { readonly cos: Value; readonly sin: Value } {
    const half = rope.invFreq.length;
    if (!rope.dynamic) {
      const inv_freq = this.graph.constant('f32', [1, half], rope.invFreq);
      return ropeTable({ positions: this.positions, inv_freq }, { scale: rope.scale });
    }
    const inv_freq = this.graph.input('rope_inv_freq', 'f32', ['S', half]);
    const set = this.graph.input('rope_set', 'i32', ['T']);
    return ropeTable({ positions: this.positions, inv_freq, set }, { scale: rope.scale });
  }

  attend(layer: number, q: Value, k: Value, v: Value, options: AttendOptions): Value {
    const { slopes, ...attrs } = options;
    const g = this.graph;
    const shape = [this.blocks, kvBlockSize, ...k.shape.slice(1)];
    const caches = kvWrite({
      k,
      v,
      k_cache: g.state(`k_cache.${layer}`, 'f32', shape),
      v_cache: g.state(`v_cache.${layer}`, 'f32', shape),
      slots: g.input('slots', 'i32', ['T']),
    });
    return pagedAttention(
      {
        q,
        ...caches,
        slopes,
        q_starts: g.input('q_starts', 'i32', ['B1']),
        context_lens: g.input('context_lens', 'i32', ['B']),
        block_tables: g.input('block_tables', 'i32', ['B', 'MB']),
      },
      { causal: true, window: 0, softcap: 0, ...attrs },
    );
  }
}
