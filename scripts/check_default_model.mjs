// node scripts/check_default_model.mjs BOOKS [MODEL]: prints what the built-in model's card says of it. BOOKS is a directory with
// train/ and valid/. Bits per byte: all bits over all bytes of the files of valid/, as `triga eval` defines them for each; and the same with \r\n as \n. Text: of 20 seeds,
// 200 tokens each after "Once upon a time": the greatest share of 4-grams of words that a text says again, and the share of words that the
// training books have.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { evaluateText, loadTextModel } from '../dist/index.js';

const [books, source] = process.argv.slice(2);
if (!books) {
  process.stderr.write('usage: check_default_model.mjs BOOKS [MODEL]\n');
  process.exit(2);
}
const files = (/** @type {string} */ folder) =>
  readdirSync(path.join(books, folder))
    .filter((name) => statSync(path.join(books, folder, name)).isFile() && name.endsWith('.md'))
    .map((name) => readFileSync(path.join(books, folder, name), 'utf8'));
const wordsOf = (/** @type {string} */ text) => text.toLowerCase().match(/\p{L}+(?:['’]\p{L}+)*/gu) ?? [];

const model = await loadTextModel(source);
/** All bits over all bytes. */
async function bitsPerByte(/** @type {string[]} */ texts) {
  let [bits, bytes] = [0, 0];
  for (const text of texts) {
    const result = await evaluateText(model, text);
    bits += result.bitsPerByte * result.bytes;
    bytes += result.bytes;
  }
  return bits / bytes;
}
const raw = files('valid');
const ofFiles = await bitsPerByte(raw);
const ofLines = await bitsPerByte(raw.map((text) => text.replaceAll('\r\n', '\n')));

const known = new Set(files('train').flatMap(wordsOf));
/** @type {string[]} */
const texts = [];
for (let seed = 0; seed < 20; seed++) {
  const { text } = await model.generate('Once upon a time', { maxNewTokens: 200, seed });
  texts.push(text);
}
await model.dispose();

const repeated = texts.map((text) => {
  const words = wordsOf(text);
  const grams = words.slice(3).map((_, i) => words.slice(i, i + 4).join(' '));
  return grams.length === 0 ? 0 : 1 - new Set(grams).size / grams.length;
});
// The last word of a text may be cut off.
const words = texts.flatMap((text) => wordsOf(text).slice(0, -1));
process.stdout.write(
  `${JSON.stringify(
    {
      bitsPerByte: ofFiles,
      bitsPerByteOfPlainLines: ofLines,
      repeated4grams: Math.max(...repeated),
      knownWords: words.filter((word) => known.has(word)).length / words.length,
      unknown: [...new Set(words.filter((word) => !known.has(word)))],
      sample: texts[0],
    },
    null,
    2,
  )}\n`,
);
