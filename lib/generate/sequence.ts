import { kvBlockSize } from '../ops/kv_write.js';
import { blocksFor, type KvPool } from './kv_pool.js';

/** A sequence in the KV cache: its tokens, and the blocks that hold the keys and values of the first `computed`. */
export class Sequence {
  /** Prompt and generated ids. */
  readonly tokens: number[];
  readonly promptLength: number;
  /** Which of the returned sequences it is. */
  readonly returnIndex: number;
  /** What the encoder made of: a sequence that is in the cache as a whole, and that others may share. Its owner releases it. */
  readonly source: Sequence | undefined;
  readonly blocks: number[];
  /** Tokens whose keys and values are in the cache. */
  computed: number;
  /** Tokens that were there already. */
  readonly cached: number;
  readonly #pool: KvPool;
  /** Names what besides the tokens decides a block's content; undefined: the blocks are not shared. */
  readonly #root: string | undefined;

  constructor(
    pool: KvPool,
    tokens: readonly number[],
    promptLength: number,
    options: {
      root?: string | undefined;
      returnIndex?: number;
      blocks?: number[];
      source?: Sequence | undefined;
    } = {},
  ) {
    this.#pool = pool;
    this.#root = options.root;
    this.tokens = [...tokens];
    this.promptLength = promptLength;
    this.returnIndex = options.returnIndex ?? 0;
    this.source = options.source;
    // At least one token is computed, for its logits.
    const most = Math.floor((tokens.length - 1) / kvBlockSize);
    this.blocks = options.blocks ?? (this.#root === undefined ? [] : pool.match(this.#root, tokens, most));
    this.cached = this.blocks.length * kvBlockSize;
    this.computed = this.cached;
  }

  /** Tokens to compute before the next can be chosen. */
  get pending(): number {
    return this.tokens.length - this.computed;
  }

  /** Takes the blocks that `rows` more positions need. */
  grow(rows: number): void {
    const need = blocksFor(this.computed + rows);
    while (this.blocks.length < need) this.blocks.push(this.#pool.take());
  }

  /** Notes that `rows` more positions are in the cache, and lets others share the blocks that are full. */
  advance(rows: number): void {
    const from = Math.floor(this.computed / kvBlockSize);
    this.computed += rows;
    const to = Math.floor(this.computed / kvBlockSize);
    if (this.#root !== undefined && to > from)
      this.#pool.publish(this.#root, this.tokens, this.blocks, from, to);
  }

  /** Cache slot of a position. */
  slot(position: number): number {
    return (
      (this.blocks[Math.floor(position / kvBlockSize)] as number) * kvBlockSize + (position % kvBlockSize)
    );
  }

  /**
   * A sequence that goes on from this one by `token`. Full blocks are shared; the one that both would write to is copied: the
   * copy that must be made before the next step is added to `copies`. All tokens of this sequence are in the cache.
   */
  fork(pool: KvPool, token: number, copies: { from: number; to: number }[]): Sequence {
    const full = Math.floor(this.computed / kvBlockSize);
    const blocks = this.blocks.slice(0, full);
    for (const block of blocks) pool.retain(block);
    const open = this.blocks[full];
    if (open !== undefined) {
      const copy = pool.take();
      copies.push({ from: open, to: copy });
      blocks.push(copy);
    }
    const { promptLength, source } = this;
    const child = new Sequence(pool, [...this.tokens, token], promptLength, { blocks, source });
    child.computed = this.computed;
    return child;
  }

  /** Another sequence of the same prompt, which is in the cache: it shares the full blocks, and computes at least one token. */
  sibling(returnIndex: number): Sequence {
    const blocks = this.blocks.slice(0, Math.floor((this.promptLength - 1) / kvBlockSize));
    for (const block of blocks) this.#pool.retain(block);
    const { promptLength, source } = this;
    const prompt = this.tokens.slice(0, promptLength);
    return new Sequence(this.#pool, prompt, promptLength, { root: this.#root, returnIndex, blocks, source });
  }

  /** Ends it in favour of its forks, to which the blocks that become free are promised. */
  giveBack(): void {
    for (const block of this.blocks.splice(0).reverse()) this.#pool.giveBack(block);
  }

  release(): void {
    // The end of a prefix is given up before its beginning.
    for (const block of this.blocks.splice(0).reverse()) this.#pool.release(block);
  }
}
