import { OutOfMemoryError } from '../errors.js';

const wordsPerHash = 4;
/** A typed array's length has a bound; at half full this is 2²⁸ hashes. */
const mostSlots = 2 ** 29;

/** A set of 128-bit hashes, 32 to 64 bytes each: JavaScript's own holds no more than 2²⁴ of anything. */
export class HashSet {
  #slots = new Uint32Array(wordsPerHash * 1024);
  #size = 0;

  /** Adds the four words at `at`; false: they are there already. All zeros stand for nothing, and are never there. */
  add(hashes: Uint32Array, at: number): boolean {
    if (2 * this.#size * wordsPerHash >= this.#slots.length) this.#grow();
    const found = this.#find(hashes, at);
    if (found === undefined) return false;
    this.#slots.set(hashes.subarray(at, at + wordsPerHash), found);
    this.#size++;
    return true;
  }

  /** The free slot for a hash; undefined: it is there. */
  #find(hashes: Uint32Array, at: number): number | undefined {
    const slots = this.#slots;
    const mask = slots.length / wordsPerHash - 1;
    const [a, b, c, d] = hashes.subarray(at, at + wordsPerHash);
    for (let slot = (a as number) & mask; ; slot = (slot + 1) & mask) {
      const i = slot * wordsPerHash;
      if (slots[i] === a && slots[i + 1] === b && slots[i + 2] === c && slots[i + 3] === d) return undefined;
      if (slots[i] === 0 && slots[i + 1] === 0 && slots[i + 2] === 0 && slots[i + 3] === 0) return i;
    }
  }

  #grow(): void {
    const old = this.#slots;
    const slots = (2 * old.length) / wordsPerHash;
    if (slots > mostSlots)
      throw new OutOfMemoryError(
        `data: expected at most ${mostSlots / 2} different documents, got more; prepare parts of it`,
      );
    this.#slots = new Uint32Array(2 * old.length);
    for (let i = 0; i < old.length; i += wordsPerHash) {
      if (!old.subarray(i, i + wordsPerHash).some((word) => word !== 0)) continue;
      this.#slots.set(old.subarray(i, i + wordsPerHash), this.#find(old, i) as number);
    }
  }
}
