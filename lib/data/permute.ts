import { mixWords } from './mix.js';

const rounds = 6;

/**
 * Where `index` goes in a permutation of 0 … size − 1 that `key` determines: without a table, so that an epoch of any size can be
 * entered anywhere. A Feistel network over the next power of four, walked until it comes back into range (Black and Rogaway, 2002,
 * "Ciphers with Arbitrary Finite Domains"). `size` up to 2^50.
 */
export function permute(index: number, size: number, key: readonly number[]): number {
  let bits = 1;
  while (4 ** bits < size) bits++;
  const half = 2 ** bits;
  let at = index;
  do {
    let left = Math.floor(at / half);
    let right = at % half;
    for (let round = 0; round < rounds; round++)
      [left, right] = [right, left ^ (mixWords(right, round, ...key) & (half - 1))];
    at = left * half + right;
  } while (at >= size);
  return at;
}
