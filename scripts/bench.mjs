// npm run bench [-- SUITE...]: measures this machine and triga on it, and prints Markdown tables. Suites, all by default:
//   kernels     each kernel beside the machine's peaks
//   models      `triga bench` on random checkpoints of real shapes
//   serving     batching and prefix reuse
//   start       from a new process to the first token
//   contention  what is left of the speed beside busy processes
// Checkpoints are made in a folder for temporary files (up to 2.2 GB at a time) and removed. A figure means something only on a
// machine that does nothing else.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { figure, percent } from '../dist/cli/table.js';
import { writeRandomCheckpoint } from './random_checkpoint.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'triga-bench-'));

const suites = { kernels, models, serving, start, contention };
const names = process.argv.slice(2);
const unknown = names.find((name) => !Object.hasOwn(suites, name));
if (unknown !== undefined) {
  console.error(`bench: expected suites of ${Object.keys(suites).join(', ')}; got '${unknown}'`);
  process.exit(2);
}
try {
  for (const name of names.length > 0 ? names : Object.keys(suites)) await suites[name]();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function kernels() {
  const text = run('scripts/build_native_tests.mjs', '--bench');
  console.log(`\n## Kernels\n\n\`\`\`text\n${text.trimEnd()}\n\`\`\``);
}

async function models() {
  const loads = [
    { prompt: 128, tokens: 64, batch: 1 },
    { prompt: 512, tokens: 32, batch: 1 },
    { prompt: 32, tokens: 64, batch: 8 },
  ];
  const rows = [];
  for (const shape of ['gpt2-124m', 'qwen2-0.5b', 'tinyllama-1.1b']) {
    await withCheckpoint(shape, (directory) => {
      for (const load of loads) {
        const flags = Object.entries(load).flatMap(([name, value]) => [`--${name}`, String(value)]);
        const r = JSON.parse(run('dist/cli/main.js', 'bench', directory, ...flags, '--json'));
        rows.push([
          `${shape} bf16`,
          `${load.prompt} + ${load.tokens}, batch ${load.batch}`,
          figure(r.prefillTokensPerSecond),
          `${percent(r.peakShare)} of ${figure(r.peakGops)} GOP/s`,
          figure(r.decodeTokensPerSecond),
          percent(r.spread),
          `${percent(r.bandwidthShare)} of ${figure(r.bandwidthGBps)} GB/s`,
          figure(r.loadMs),
          figure(r.rssBytes / 2 ** 20),
          `${r.cpu}, ${r.isa}, ${r.threads} threads`,
        ]);
      }
    });
  }
  const head = [
    'Model',
    'Tokens',
    'Prefill tokens/s',
    'of the peak',
    'Decode tokens/s',
    'Spread',
    'of the bandwidth',
    'Load ms',
    'RSS MiB',
    'CPU',
  ];
  print('Models', 'triga bench', head, rows);
}

async function serving() {
  await withCheckpoint('qwen2-0.5b', (directory) => {
    const r = JSON.parse(run('scripts/bench_serving.mjs', directory));
    const rows = [
      ['one greedy request, 4 tokens in, 64 out', `${figure(r.oneTokensPerSecond)} tokens/s`],
      ['eight of them together', `${figure(r.eightTokensPerSecond)} tokens/s`],
      ['ratio, round by round', figure(r.ratio)],
      ['first token of a new prompt of 1,000 tokens', `${figure(r.coldFirstTokenMs)} ms`],
      [
        `first token of the same again, ${r.cachedTokens} tokens cached`,
        `${figure(r.warmFirstTokenMs)} ms, ${percent(r.warmShare)}`,
      ],
    ];
    print(
      'Serving',
      'node scripts/bench_serving.mjs',
      ['qwen2-0.5b bf16', '', 'CPU'],
      rows.map((row) => [...row, `${r.cpu}, ${r.isa}`]),
    );
  });
}

async function start() {
  await withCheckpoint('llama-4mb', (directory) => {
    const r = JSON.parse(run('scripts/bench_start.mjs', directory));
    const row = [r.importMs, r.loadMs, r.firstTokenMs, r.totalMs].map(figure);
    const head = ['import triga, ms', 'load 4 MB, ms', 'first token, ms', 'in all, ms', 'CPU'];
    print('Start', 'node scripts/bench_start.mjs', head, [[...row, r.cpu]]);
  });
}

async function contention() {
  await withCheckpoint('qwen2-0.5b', (directory) => {
    const r = JSON.parse(run('scripts/bench_contention.mjs', directory));
    const row = [figure(r.idleTokensPerSecond), figure(r.busyTokensPerSecond), percent(r.share)];
    const head = ['Decode alone, tokens/s', `beside ${r.cores} spinning processes`, 'share', 'CPU'];
    print('Contention', 'node scripts/bench_contention.mjs', head, [[...row, `${r.cpu}, ${r.isa}`]]);
  });
}

/** Runs a script of ours and returns what it prints. */
function run(script, ...args) {
  process.stderr.write(`${script} ${args.join(' ')}\n`);
  const { status, stdout, error } = spawnSync(process.execPath, [path.join(root, script), ...args], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 26,
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${script} ended with ${status}`);
  return stdout;
}

/** Has a random checkpoint while `use` runs. */
async function withCheckpoint(shape, use) {
  const directory = path.join(folder, shape);
  process.stderr.write(`writing ${shape}\n`);
  await writeRandomCheckpoint(shape, directory);
  try {
    use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function print(title, command, head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const table = [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
  console.log(`\n## ${title}\n\n\`${command}\`, ${new Date().toISOString().slice(0, 10)}\n\n${table}`);
}
