// node scripts/bench_products.mjs [--isa LEVEL] [--rounds N]: the large products of training two GPTs, in f32 and bf16, with
// the rounding, transposing and packing of what they multiply, as shares of what the processor does in registers in the same round.
// The best of three runs beside the best of three of the peak; medians of rounds.
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { cpuExecutor, cpuTraits } from '../dist/exec/cpu.js';
import { Peaks } from '../dist/exec/peaks.js';
import { Graph } from '../dist/ir/graph.js';
import { matmul } from '../dist/ops/matmul.js';
import { slice } from '../dist/ops/slice.js';
import { memoryParams } from '../dist/weights/param_source.js';

const { values } = parseArgs({
  options: { isa: { type: 'string' }, rounds: { type: 'string', default: '9' } },
});
const threads = Number(process.env.TRIGA_THREADS) || cpus().length;
const executor = cpuExecutor({ threads, ...(values.isa && { isa: values.isa }) });

/** Of the first linear of an MLP: forward, to the gradient of x, to that of w. m rows, n columns, sums over k. */
const productsOf = (
  /** @type {number} */ tokens,
  /** @type {number} */ width,
  /** @type {number} */ wide,
) => [
  { name: 'x · Wᵀ', m: tokens, n: wide, k: width, transposeA: false, transposeB: true },
  { name: 'dy · W', m: tokens, n: width, k: wide, transposeA: false, transposeB: false },
  { name: 'dyᵀ · x', m: wide, n: width, k: tokens, transposeA: true, transposeB: false },
];
/** GPT-2 124M with 4 × 256 tokens, and a GPT of 10M with 16 × 256. */
const products = [...productsOf(1024, 768, 3072), ...productsOf(4096, 384, 1536)];
const median = (/** @type {number[]} */ list) =>
  list.toSorted((a, b) => a - b)[list.length >> 1] ?? Number.NaN;

/** A product of states, of whose result one number comes out: nothing is copied but that. */
async function compiled(/** @type {(typeof products)[number]} */ p, /** @type {'f32' | 'bf16'} */ compute) {
  const graph = new Graph();
  const a = graph.state('a', 'f32', p.transposeA ? [p.k, p.m] : [p.m, p.k]);
  const b = graph.state('b', 'f32', p.transposeB ? [p.n, p.k] : [p.k, p.n]);
  const y = matmul(a, b, { transposeA: p.transposeA, transposeB: p.transposeB, compute });
  graph.output('y', slice(slice(y, 0, 0, 1), 1, 0, 1));
  const session = executor.open(memoryParams({}));
  const executable = await session.compile(graph);
  const numbers = (/** @type {number} */ n) => Float32Array.from({ length: n }, () => Math.random() - 0.5);
  session.states?.write('a', 0, numbers(p.m * p.k));
  session.states?.write('b', 0, numbers(p.k * p.n));
  return { session, run: () => executable.run({ inputs: {}, bindings: {} }) };
}

/** Operations a nanosecond, the best of three, as the peak is. */
async function rate(/** @type {() => Promise<unknown>} */ run, /** @type {number} */ operations) {
  let best = 0;
  for (let attempt = 0; attempt < 3; attempt++) {
    const begun = performance.now();
    await run();
    best = Math.max(best, operations / (performance.now() - begun) / 1e6);
  }
  return best;
}

const peaks = await Peaks.open({ isa: executor.isa, threads, bytes: 2 ** 22 });
process.stdout.write(
  `${cpus()[0]?.model}, ${executor.isa}, ${threads} threads; GFLOP/s, share of the peak\n`,
);
for (const compute of /** @type {const} */ (['f32', 'bf16'])) {
  if (compute === 'bf16' && !cpuTraits(executor.isa).bf16Dot) continue;
  for (const product of products) {
    const { session, run } = await compiled(product, compute);
    await run();
    /** @type {number[]} */
    const rates = [];
    /** @type {number[]} */
    const shares = [];
    for (let round = 0; round < Number(values.rounds); round++) {
      const peak = await peaks.computeGops(compute === 'f32' ? 'fma' : 'dot');
      const got = await rate(run, 2 * product.m * product.n * product.k);
      rates.push(got);
      shares.push(got / peak);
    }
    const { name, m, n, k } = product;
    process.stdout.write(
      `${compute} ${name} [${m} × ${k}] · [${k} × ${n}]: ${median(rates).toFixed(0)}, ${(100 * median(shares)).toFixed(0)}%\n`,
    );
    await session.dispose();
  }
}
peaks.dispose();
