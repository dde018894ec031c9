/** Numbers in [0, 1), the same each time (mulberry32). */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A generator for each name (FNV-1a of it is the seed). */
export function named(name: string): () => number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return generator(hash);
}

/** f32 numbers in [low, high). */
export const floats = (next: () => number, count: number, low = -1, high = 1): number[] =>
  Array.from({ length: count }, () => Math.fround(low + (high - low) * next()));

/** The numbers 0 … n − 1 in any order. */
export function shuffled(next: () => number, n: number): number[] {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}
