// exp in sums, products and shifts alone, so that native/sampler.cc gets the same bits on every machine: a token drawn by
// inverse CDF then never depends on whose exp it was. Within 2 ulp.
const log2e = Math.LOG2E;
const ln2High = 0.6931471803691238; // its low 21 bits are 0: n · ln2High is exact
const ln2Low = 1.9082149292705877e-10;
const toInteger = 6755399441055744; // 1.5 · 2⁵²: adding it rounds to the nearest integer
const lowest = -700;

/** 1/13!, …, 1/2!, 1, 1. */
const taylor = [
  1.6059043836821613e-10, 2.08767569878681e-9, 2.505210838544172e-8, 2.755731922398589e-7,
  2.7557319223985893e-6, 2.48015873015873e-5, 1.984126984126984e-4, 1.388888888888889e-3,
  8.333333333333333e-3, 4.1666666666666664e-2, 1.6666666666666666e-1, 0.5, 1, 1,
];

const powers = new Float64Array(1024); // 2⁰, 2⁻¹, …
for (let i = 0, p = 1; i < powers.length; i++, p /= 2) powers[i] = p;

/** eˣ of x ≤ 0; below −700, e⁻⁷⁰⁰. */
export function exactExp(x: number): number {
  const inside = Math.max(x, lowest);
  const n = inside * log2e + toInteger - toInteger;
  const r = inside - n * ln2High - n * ln2Low;
  let sum = taylor[0] as number;
  for (let i = 1; i < taylor.length; i++) sum = sum * r + (taylor[i] as number);
  return sum * (powers[-n] as number);
}
