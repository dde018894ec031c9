import { kvBlockSize } from '../ops/kv_write.js';

/** A full block whose content is known: 16 tokens after a known prefix. */
interface PrefixNode {
  readonly key: string;
  /** Names this prefix in the keys of the blocks that follow. */
  readonly serial: number;
  readonly block: number;
}

/**
 * Who has which block of the KV cache. A block is shared by reference count; one that nobody holds keeps its content, if that is
 * a known prefix, until the memory is needed: the longest unused goes first.
 */
export class KvPool {
  readonly blocks: number;
  readonly #counts: Int32Array;
  /** Blocks without known content that were used before, taken from the end. */
  readonly #free: number[] = [];
  /** Blocks from here on were never used: they come last, so that untouched memory stays untouched. */
  #untouched = 0;
  readonly #byKey = new Map<string, PrefixNode>();
  readonly #nodes = new Map<number, PrefixNode>();
  /** Known blocks that nobody holds, longest unused first. */
  readonly #idle = new Set<number>();
  #serial = 0;
  #taken = 0;
  /** Blocks promised to sequences that have not taken them yet. */
  #reserved = 0;

  constructor(blocks: number) {
    this.blocks = blocks;
    this.#counts = new Int32Array(blocks);
  }

  /** Blocks that nobody holds and nobody was promised. */
  get available(): number {
    return this.#free.length + this.blocks - this.#untouched + this.#idle.size - this.#reserved;
  }

  /** Blocks given out since the beginning, less those given back. */
  get taken(): number {
    return this.#taken;
  }

  /** Promises blocks: each {@link take} uses one up. */
  reserve(count: number): void {
    this.#reserved += count;
  }

  /** Takes back a promise that was not used up. */
  unreserve(count: number): void {
    this.#reserved -= count;
  }

  /** A block to write to, out of those promised. */
  take(): number {
    this.#reserved--;
    this.#taken++;
    let block = this.#free.pop() ?? (this.#untouched < this.blocks ? this.#untouched++ : undefined);
    if (block === undefined) {
      [block] = this.#idle;
      if (block === undefined) throw new Error('kv pool: a block was promised and is not there');
      this.#forget(block);
    }
    this.#counts[block] = 1;
    return block;
  }

  retain(block: number): void {
    if (this.#counts[block] === 0) this.#idle.delete(block);
    this.#counts[block] = (this.#counts[block] as number) + 1;
  }

  release(block: number): void {
    const count = (this.#counts[block] as number) - 1;
    this.#counts[block] = count;
    if (count > 0) return;
    if (this.#nodes.has(block)) this.#idle.add(block);
    else this.#free.push(block);
  }

  /** As {@link release}, of a block in whose place another will be taken: if nobody holds it any more, it is promised again. */
  giveBack(block: number): void {
    this.release(block);
    if (this.#counts[block] !== 0) return;
    this.#reserved++;
    this.#taken--;
  }

  /** The longest known chain of full blocks that `ids` begins with, at most `most` blocks, each retained. */
  match(root: string, ids: readonly number[], most: number): number[] {
    const found: number[] = [];
    let prefix = root;
    while (found.length < most) {
      const node = this.#byKey.get(keyOf(prefix, ids, found.length));
      if (!node) break;
      // A block that nobody holds comes out of what was promised, as if it were taken.
      if (this.#counts[node.block] === 0) {
        this.#reserved--;
        this.#taken++;
      }
      this.retain(node.block);
      found.push(node.block);
      prefix = String(node.serial);
    }
    return found;
  }

  /** Makes the full blocks of a sequence known, from block `from` on; `blocks` are the sequence's own. */
  publish(root: string, ids: readonly number[], blocks: readonly number[], from: number, to: number): void {
    let prefix = from === 0 ? root : this.#nodes.get(blocks[from - 1] as number)?.serial.toString();
    for (let i = from; i < to && prefix !== undefined; i++) {
      const block = blocks[i] as number;
      const key = keyOf(prefix, ids, i);
      const known = this.#byKey.get(key);
      if (known) {
        // Two sequences computed the same block at the same time: the first stays known, and the chain goes on from it only if
        // this sequence holds it.
        prefix = known.block === block ? String(known.serial) : undefined;
        continue;
      }
      const node: PrefixNode = { key, serial: ++this.#serial, block };
      this.#byKey.set(key, node);
      this.#nodes.set(block, node);
      prefix = String(node.serial);
    }
  }

  #forget(block: number): void {
    this.#idle.delete(block);
    const node = this.#nodes.get(block);
    if (node) this.#byKey.delete(node.key);
    this.#nodes.delete(block);
  }
}

const keyOf = (prefix: string, ids: readonly number[], block: number): string =>
  `${prefix}|${ids.slice(block * kvBlockSize, (block + 1) * kvBlockSize).join()}`;

/** Blocks that hold so many positions. */
export const blocksFor = (positions: number): number => Math.ceil(positions / kvBlockSize);
