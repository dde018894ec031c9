import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { defaultModel } from '../../lib/generate/model_source.js';
import { evaluateText, loadTextModel } from '../../lib/index.js';

const books = path.resolve('../shared/data/books/valid');

test.skipIf(!existsSync(books))(
  'the built-in model predicts books that it has not seen as its card says',
  async () => {
    const card = readFileSync(path.join(defaultModel, 'README.md'), 'utf8');
    const said = Number(card.match(/([\d.]+) bits per byte/)?.[1]);
    const model = await loadTextModel();
    try {
      let [bits, bytes] = [0, 0];
      for (const name of readdirSync(books).filter((file) => file.endsWith('.md'))) {
        const result = await evaluateText(model, readFileSync(path.join(books, name), 'utf8'));
        bits += result.bitsPerByte * result.bytes;
        bytes += result.bytes;
      }
      expect(Math.abs(bits / bytes - said)).toBeLessThan(0.005);
    } finally {
      await model.dispose();
    }
  },
  300_000,
);
