import { createRequire } from 'node:module';

interface PreTokenizer {
  preTokenizeString(text: string): [string, unknown][];
}
const { byteLevelPreTokenizer } = createRequire(import.meta.url)('tokenizers') as {
  byteLevelPreTokenizer(addPrefixSpace: boolean): PreTokenizer;
};
const pattern = byteLevelPreTokenizer(false);

/** The words of a text in byte-level spelling, as npm tokenizers cuts them. */
export const wordsOf = (text: string): string[] => pattern.preTokenizeString(text).map(([word]) => word);

/** BPE as it is defined: all pairs are counted anew for each merge. `alphabet`: the 256 characters in the order of their ids. */
export function naiveMerges(
  words: readonly string[],
  alphabet: readonly string[],
  count: number,
  minFrequency: number,
): [string, string][] {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  const entries = [...counts].map(([word, n]) => ({ symbols: [...word], n }));
  const ids = new Map(alphabet.map((char, id) => [char, id]));
  const merges: [string, string][] = [];
  while (merges.length < count) {
    const pairs = new Map<string, { left: string; right: string; n: number }>();
    for (const { symbols, n } of entries) {
      symbols.slice(1).forEach((right, i) => {
        const left = symbols[i] as string;
        const pair = pairs.get(`${left} ${right}`) ?? { left, right, n: 0 };
        pair.n += n;
        pairs.set(`${left} ${right}`, pair);
      });
    }
    const idOf = (symbol: string): number => ids.get(symbol) as number;
    const [best] = [...pairs.values()].sort(
      (a, b) => b.n - a.n || idOf(a.left) - idOf(b.left) || idOf(a.right) - idOf(b.right),
    );
    if (!best || best.n < minFrequency) break;
    merges.push([best.left, best.right]);
    const joined = best.left + best.right;
    if (!ids.has(joined)) ids.set(joined, ids.size);
    for (const entry of entries) entry.symbols = mergedIn(entry.symbols, best);
  }
  return merges;
}

function mergedIn(symbols: readonly string[], { left, right }: { left: string; right: string }): string[] {
  const out: string[] = [];
  for (let i = 0; i < symbols.length; i++) {
    const joins = symbols[i] === left && symbols[i + 1] === right;
    out.push(joins ? left + right : (symbols[i] as string));
    if (joins) i++;
  }
  return out;
}
