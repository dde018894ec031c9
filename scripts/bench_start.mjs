// node scripts/bench_start.mjs MODEL_DIRECTORY [ROUNDS]: how long a new process takes from importing triga to the first token of a
// model with a tokenizer. Each round is a process of its own. Prints one JSON object of medians, in milliseconds.
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

const [directory, rounds = '11', mode] = process.argv.slice(2);
if (!directory) {
  console.error('usage: node scripts/bench_start.mjs MODEL_DIRECTORY [ROUNDS]');
  process.exit(2);
}

if (mode === 'once') {
  console.log(JSON.stringify(await start()));
} else {
  const { median } = await import('../dist/bench/median.js');
  const script = fileURLToPath(import.meta.url);
  const all = Array.from({ length: Number(rounds) }, () =>
    JSON.parse(execFileSync(process.execPath, [script, directory, '1', 'once'], { encoding: 'utf8' })),
  );
  const medians = Object.fromEntries(
    Object.keys(all[0]).map((name) => [name, median(all.map((round) => round[name]))]),
  );
  console.log(JSON.stringify({ cpu: cpus()[0]?.model, ...medians }, null, 2));
}

async function start() {
  const begin = performance.now();
  const { loadTextModel } = await import('triga');
  const imported = performance.now();
  const model = await loadTextModel(directory);
  const loaded = performance.now();
  const request = model.generate('Once upon a time', { maxNewTokens: 2, eosTokenId: [], doSample: false });
  const pieces = request[Symbol.asyncIterator]();
  await pieces.next();
  const end = performance.now();
  await request;
  await model.dispose();
  return {
    importMs: imported - begin,
    loadMs: loaded - imported,
    firstTokenMs: end - loaded,
    totalMs: end - begin,
  };
}
