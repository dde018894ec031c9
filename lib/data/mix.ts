/**
 * Random bits that are a pure function of their words: each is folded in by MurmurHash3's finalizer (Appleby, 2011), whose every
 * output bit depends on every input bit. In [0, 2^32).
 */
export function mixWords(...words: readonly number[]): number {
  let h = 0x9e3779b9;
  for (const word of words) {
    h ^= word;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h = (h ^ (h >>> 16)) >>> 0;
  }
  return h;
}

/** Both halves of a seed of up to 53 bits. */
export const seedWords = (seed: number): readonly [number, number] => [
  seed >>> 0,
  Math.floor(seed / 2 ** 32),
];
