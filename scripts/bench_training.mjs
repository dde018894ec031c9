// node scripts/bench_training.mjs [--rounds N] [--python PYTHON]: how fast models are trained, in f32 and bf16, beside PyTorch in f32, if that
// is there (Debian: python3-torch libopenblas0-pthread). Same model, same batch, one after the other in every round; medians of steps.
// A step is forward, backward, clipping and AdamW. Other work on the machine disturbs all three alike.
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cpuExecutor, cpuTraits } from '../dist/exec/cpu.js';
import { gpt2 } from '../dist/models/gpt2.js';
import { TrainingEngine } from '../dist/train/engine.js';
import { initialWeights } from '../dist/train/initialize.js';
import { packRows } from '../dist/train/packed_batch.js';
import { configReader } from '../dist/weights/config.js';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, python: { type: 'string', default: 'python3' } },
});

const models = [
  { name: 'GPT 10M', layers: 6, heads: 6, width: 384, vocabulary: 256, context: 256, batch: 16, steps: 6 },
  {
    name: 'GPT-2 124M',
    layers: 12,
    heads: 12,
    width: 768,
    vocabulary: 50257,
    context: 256,
    batch: 4,
    steps: 3,
  },
];
const script = fileURLToPath(new URL('bench_training.py', import.meta.url));
const median = (/** @type {number[]} */ list) =>
  list.toSorted((a, b) => a - b)[list.length >> 1] ?? Number.NaN;
const executor = cpuExecutor();
const threads = cpuThreads();

function cpuThreads() {
  return Number(process.env.TRIGA_THREADS) || cpus().length;
}

/** Seconds of each step, memory as it was expected and as it is held. */
async function ours(/** @type {(typeof models)[number]} */ m, /** @type {'f32' | 'bf16'} */ compute) {
  const json = {
    model_type: 'gpt2',
    n_layer: m.layers,
    n_head: m.heads,
    n_embd: m.width,
    n_positions: m.context,
    vocab_size: m.vocabulary,
    activation_function: 'gelu',
  };
  const config = gpt2.readConfig(configReader(json, 'config.json'));
  const engine = await TrainingEngine.open({
    family: gpt2,
    config,
    executor,
    compute,
    labelSmoothing: 0,
    recompute: false,
    optimizer: 'adamw',
    nesterov: false,
    average: false,
  });
  try {
    const initialization = { ones: /ln/, residual: /c_proj/, seed: 0, deviation: 0.02, layers: m.layers };
    for (const [name, shape] of engine.weights)
      await engine.write(name, await initialWeights(name, shape, initialization));
    const rows = Array.from({ length: m.batch }, () => ({
      ids: Int32Array.from({ length: m.context + 1 }, () => Math.floor(Math.random() * m.vocabulary)),
      starts: [],
    }));
    const batch = packRows(rows, { bosTokenId: undefined, weight: 1 / (m.batch * m.context) });
    const estimate = engine.estimate({ T: m.batch * m.context, B1: m.batch + 1 });
    const seconds = [];
    for (let step = 0; step < m.steps + 2; step++) {
      const begun = performance.now();
      await engine.accumulate(batch);
      const norm = await engine.gradientNorm();
      await engine.update({
        learningRate: 1e-4,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        momentum: 0,
        weightDecay: 0.01,
        average: 0,
        step: step + 1,
        factor: Math.min(1, 1 / norm),
      });
      if (step >= 2) seconds.push((performance.now() - begun) / 1000);
    }
    return { seconds, estimate, held: engine.bytes };
  } finally {
    await engine.dispose();
  }
}

/** Seconds of each step in PyTorch; none where it is not there. */
function torch(/** @type {(typeof models)[number]} */ m) {
  const sizes = [m.layers, m.heads, m.width, m.vocabulary, m.context, m.batch, m.steps, threads].map(String);
  // OpenBLAS does not know new CPUs, and takes slow kernels for them.
  const env = { ...process.env, OPENBLAS_CORETYPE: 'SKYLAKEX', OMP_NUM_THREADS: String(threads) };
  const { stdout, status } = spawnSync(values.python, [script, ...sizes], { encoding: 'utf8', env });
  return status === 0 ? stdout.trim().split('\n').map(Number) : [];
}

process.stdout.write(`${cpus()[0]?.model}, ${executor.isa}, ${threads} threads; tokens/s\n`);
for (const model of models) {
  /** @type {Record<'torch' | 'f32' | 'bf16', number[]>} */
  const seconds = { torch: [], f32: [], bf16: [] };
  let memory = '';
  for (let round = 0; round < Number(values.rounds); round++) {
    seconds.torch.push(...torch(model));
    for (const compute of /** @type {const} */ (['f32', 'bf16'])) {
      if (compute === 'bf16' && !cpuTraits(executor.isa).bf16Dot) continue;
      const result = await ours(model, compute);
      seconds[compute].push(...result.seconds);
      const mib = (/** @type {number} */ n) => `${Math.round(n / 2 ** 20)} MiB`;
      memory = `memory ${mib(result.held)}, expected ${mib(result.estimate)}`;
    }
  }
  const speed = (/** @type {number[]} */ list) => (model.batch * model.context) / median(list);
  const [py, f32, bf16] = [speed(seconds.torch), speed(seconds.f32), speed(seconds.bf16)];
  const shown = (/** @type {number} */ n) => (Number.isNaN(n) ? 'not there' : n.toFixed(n < 10 ? 2 : 0));
  process.stdout.write(
    `${model.name}, ${model.batch} × ${model.context}: PyTorch f32 ${shown(py)}, f32 ${shown(f32)} (${shown(f32 / py)} × PyTorch), ` +
      `bf16 ${shown(bf16)} (${shown(bf16 / f32)} × f32); ${memory}\n`,
  );
}
