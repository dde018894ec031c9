// node scripts/bench_data.mjs INPUT... [--vocab-size N]: how fast texts are counted, merges learned, and texts encoded. Rates are in 10^6
// bytes of the files, by the clock and by processor time, which other work on the machine disturbs less.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { inputFiles } from '../dist/data/input_files.js';
import { loadBinding } from '../dist/exec/binding.js';
import { prepareData, trainTokenizer } from '../dist/index.js';
import { byteAlphabet, byteLevelIds } from '../dist/tokenizers/byte_level.js';
import { loadNativeTokenizer } from '../dist/tokenizers/native_tokenizer.js';

const { values, positionals } = parseArgs({
  options: { 'vocab-size': { type: 'string', default: '16384' } },
  allowPositionals: true,
});
const vocabSize = Number(values['vocab-size']);
const files = await inputFiles(positionals, undefined);
const texts = await Promise.all(files.map((file) => readFile(file.path)));
const total = texts.reduce((sum, text) => sum + text.length, 0);

/** Seconds by the clock and of processors that `work` takes. */
async function timed(work) {
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { clock: (performance.now() - start) / 1e3, cpu: (user + system) / 1e6 };
}
function tell(what, { clock, cpu }, bytes) {
  const rate = (seconds) => (bytes / 1e6 / seconds).toFixed(1);
  const rates = bytes ? `, ${rate(clock)} MB/s, ${rate(cpu)} MB for each second of a core` : '';
  console.log(`${what.padEnd(42)} ${clock.toFixed(2)} s, ${cpu.toFixed(2)} s of cores${rates}`);
}

console.log(
  `${os.cpus()[0]?.model}, ${os.availableParallelism()} hardware threads; ${files.length} files, ${total} bytes`,
);
const { BpeTrainer, BpeEncoder, defaultThreads } = loadBinding();
for (const threads of new Set([1, defaultThreads])) {
  const trainer = new BpeTrainer(threads, byteAlphabet);
  const counting = await timed(async () => {
    for (const text of texts) await trainer.count(text, Uint32Array.of(text.length));
  });
  tell(`counting words, ${threads} threads`, counting, total);
  tell(`learning ${vocabSize} tokens`, await timed(() => trainer.learn(vocabSize - 1, 2, () => {})));
}

const folder = await mkdtemp(path.join(os.tmpdir(), 'triga-bench-data-'));
try {
  const tokenizer = path.join(folder, 'tokenizer');
  tell(
    'trainTokenizer, cleaning too',
    await timed(() => trainTokenizer(positionals, { vocabSize, out: tokenizer })),
    total,
  );
  const file = path.join(tokenizer, 'tokenizer.json');
  const text = await readFile(file, 'utf8');
  const ids = byteLevelIds(JSON.parse(text));
  if (!ids) throw new Error('expected a tokenizer that the engine applies');
  const encoder = new BpeEncoder(ids.bytes, ids.merges);
  const encoding = await timed(() => {
    for (const piece of texts) encoder.encode(piece, Uint32Array.of(piece.length), 0);
  });
  tell('encoding by the engine, 1 thread', encoding, total);
  const { native } = loadNativeTokenizer(text, file);
  const [first] = texts;
  const library = await timed(() => native.encode(first.toString(), null, { addSpecialTokens: false }));
  tell('encoding by npm tokenizers, the first file', library, first.length);
  const out = path.join(folder, 'tokens');
  tell('prepareData', await timed(() => prepareData(positionals, { tokenizer, out })), total);
} finally {
  await rm(folder, { recursive: true });
}
