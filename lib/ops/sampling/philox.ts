/** High 32 bits of the product of two unsigned 32-bit integers. */
function mulHigh(a: number, b: number): number {
  const al = a & 0xffff;
  const ah = a >>> 16;
  const bl = b & 0xffff;
  const bh = b >>> 16;
  const middle = ah * bl + ((al * bl) >>> 16); // < 2³²
  const cross = al * bh + (middle & 0xffff); // < 2³²
  return (ah * bh + Math.floor(middle / 65536) + Math.floor(cross / 65536)) >>> 0;
}

type Words4 = readonly [number, number, number, number];

/**
 * Philox4x32-10: four random 32-bit words of a counter and a key, without state.
 * Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */
export function philox4x32(counter: Words4, key: readonly [number, number]): Words4 {
  let [c0, c1, c2, c3] = counter.map((c) => c >>> 0) as [number, number, number, number];
  let [k0, k1] = key.map((k) => k >>> 0) as [number, number];
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0) >>> 0;
    const high1 = mulHigh(0xcd9e8d57, c2);
    const low1 = Math.imul(0xcd9e8d57, c2) >>> 0;
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** A number in [0, 1) with 53 random bits: that of the position-th token of a sequence. */
export function uniform(seed: readonly [number, number], returnIndex: number, position: number): number {
  const [a, b] = philox4x32([position, returnIndex, 0, 0], seed);
  return ((a >>> 5) * 2 ** 26 + (b >>> 6)) / 2 ** 53;
}
