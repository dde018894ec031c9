import type { Graph } from '../ir/graph.js';
import type { Value } from '../ir/value.js';
import { kvWrite } from '../ops/kv_write.js';
import { pagedAttention } from '../ops/paged_attention.js';
import { type AttendOptions, type LayerCache, layerCache } from './text_inputs.js';

/**
 * Rows of whole sources as the server packs them for an encoder, and where it keeps what a decoder reads of them. Symbols are those
 * of packed text; every row of a source is in the run.
 */
export class SourceInputs {
  readonly tokens: Value; // i32 [T]
  readonly positions: Value; // i32 [T]
  readonly #graph: Graph;
  readonly #blocks: number;
  /** Keys and values that one encoder layer after the other puts into the source's blocks. */
  #own: LayerCache | undefined;

  /** @param blocks Blocks of the KV pool. */
  constructor(graph: Graph, blocks: number) {
    this.#graph = graph;
    this.#blocks = blocks;
    this.tokens = graph.input('tokens', 'i32', ['T']);
    this.positions = graph.input('positions', 'i32', ['T']);
  }

  get #slots(): Value {
    return this.#graph.input('slots', 'i32', ['T']);
  }

  /** Attention of each row to all rows of its source: q [T, H, D], k and v [T, Hkv, D] → [T, H, D]. */
  attend(q: Value, k: Value, v: Value, { slopes, ...attrs }: AttendOptions): Value {
    const g = this.#graph;
    const before = this.#own ?? layerCache(g, 'source', this.#blocks, k);
    this.#own = kvWrite({ k, v, ...before, slots: this.#slots });
    return pagedAttention(
      {
        q,
        ...this.#own,
        slopes,
        q_starts: g.input('q_starts', 'i32', ['B1']),
        context_lens: g.input('context_lens', 'i32', ['B']),
        block_tables: g.input('block_tables', 'i32', ['B', 'MB']),
      },
      { causal: false, window: 0, softcap: 0, ...attrs },
    );
  }

  /** Writes the keys and values [T, Hkv, D] that decoder layer `layer` reads, once for all steps of the decoder. */
  keep(layer: number, k: Value, v: Value): void {
    kvWrite({ k, v, ...layerCache(this.#graph, layer, this.#blocks, k), slots: this.#slots });
  }
}
