// node scripts/bench_contention.mjs MODEL_DIRECTORY [ROUNDS]: what is left of the decoding speed while a process spins on every
// core. Rounds alternate between an idle machine and a busy one. Prints one JSON object.
import { spawn } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from '../dist/bench/median.js';
import { loadTextModel } from '../dist/index.js';

const [directory, rounds = '3'] = process.argv.slice(2);
if (!directory) {
  console.error('usage: node scripts/bench_contention.mjs MODEL_DIRECTORY [ROUNDS]');
  process.exit(2);
}

const newTokens = 64;
const model = await loadTextModel(directory);
const options = { maxNewTokens: newTokens, eosTokenId: [], doSample: false };

/** Tokens a second after the first. */
async function decode() {
  const { timings } = await model.generate([1, 2, 3, 4], options);
  return ((newTokens - 1) / (timings.lastTokenMs - timings.firstTokenMs)) * 1000;
}

/** The same beside one spinning process for each core. */
async function decodeBeside() {
  const spinners = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
  );
  try {
    await sleep(300); // until they spin
    return await decode();
  } finally {
    for (const spinner of spinners) spinner.kill('SIGKILL');
  }
}

await decode();
const idle = [];
const busy = [];
for (let i = 0; i < Number(rounds); i++) {
  idle.push(await decode());
  busy.push(await decodeBeside());
  await sleep(100);
}
console.log(
  JSON.stringify(
    {
      cpu: cpus()[0]?.model,
      isa: model.info.isa,
      cores: availableParallelism(),
      idleTokensPerSecond: median(idle),
      busyTokensPerSecond: median(busy),
      share: median(busy.map((rate, i) => rate / idle[i])),
    },
    null,
    2,
  ),
);
await model.dispose();
