import type { Graph } from '../ir/graph.js';
import { ShapeError } from '../ir/shape.js';
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
  /** Attention of decoder layer `layer` to all that the encoder kept for it: q [T, H, D] → [T, H, D]. Follows `attend` of that layer. */
  attendSource(layer: number, q: Value, options: AttendOptions): Value;
}

/** A layer's keys and values: two states [blocks, 16, Hkv, D]. */
export interface LayerCache {
  readonly k_cache: Value;
  readonly v_cache: Value;
}

/** The cache of that name with room for keys [T, Hkv, D] in each of `blocks` blocks. */
export function layerCache(graph: Graph, name: string | number, blocks: number, keys: Value): LayerCache {
  const shape = [blocks, kvBlockSize, ...keys.shape.slice(1)];
  const [k_cache, v_cache] = ['k', 'v'].map((kind) => graph.state(`${kind}_cache.${name}`, 'f32', shape)) as [
    Value,
    Value,
  ];
  return { k_cache, v_cache };
}

/**
 * Rows as the server packs them, and its KV cache. Symbols: T rows of all sequences, B sequences, B1 = B + 1, MB blocks of the
 * longest sequence, SB blocks of the longest source, S sets of rotary frequencies.
 */
export class PackedInputs implements TextInputs {
  readonly graph: Graph;
  /** Blocks of the KV pool. */
  readonly blocks: number;
  readonly tokens: Value; // i32 [T]
  readonly positions: Value; // i32 [T]
  /** Each layer's cache as its own rows have left it. */
  readonly #written = new Map<number, LayerCache>();

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
    const caches = kvWrite({
      k,
      v,
      ...layerCache(g, layer, this.blocks, k),
      slots: g.input('slots', 'i32', ['T']),
    });
    this.#written.set(layer, caches);
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

  /** The source's keys lie in blocks of the same pool, beside the text's own. */
  attendSource(layer: number, q: Value, { slopes, ...attrs }: AttendOptions): Value {
    const g = this.graph;
    const caches = this.#written.get(layer);
    if (!caches) throw new ShapeError(`attendSource: layer ${layer} has not attended to its own rows yet`);
    return pagedAttention(
      {
        q,
        ...caches,
        slopes,
        q_starts: g.input('q_starts', 'i32', ['B1']),
        context_lens: g.input('source_lens', 'i32', ['B']),
        block_tables: g.input('source_tables', 'i32', ['B', 'SB']),
      },
      { causal: false, window: 0, softcap: 0, ...attrs },
    );
  }
}
