import { throwIfAborted } from '../errors.js';
import { timeSlices } from '../exec/time_slices.js';
import type { Initialization } from '../models/family.js';
import { philox4x32 } from '../ops/sampling/philox.js';
import { checkParams } from '../weights/param_source.js';
import { loadWeights } from './checkpoints.js';
import type { TrainingEngine } from './engine.js';
import type { TrainSettings } from './options.js';
import type { TrainableModel } from './trainable_model.js';

export interface InitializeOptions extends Initialization {
  readonly seed: number;
  /** Standard deviation of matrices (`initializer_range`). */
  readonly deviation: number;
  readonly layers: number;
}

/** Of a family that says nothing. */
const plainInitialization: Initialization = { ones: /norm\w*\.weight$/, residual: /(?!)/ };

/** Gives a run's weights their first numbers: those of the model that is trained on, or random ones; averages are the same. */
export async function firstWeights(
  engine: TrainingEngine,
  { params, family, json }: TrainableModel,
  { seed, signal }: Pick<TrainSettings, 'seed' | 'signal'>,
): Promise<void> {
  if (params) {
    checkParams(new Map([...engine.weights].map(([name, shape]) => [name, { shape }])), params);
    await loadWeights(engine, params, signal);
  }
  const drawn = {
    ...(family.initialization ?? plainInitialization),
    seed,
    deviation: typeof json.initializer_range === 'number' ? json.initializer_range : 0.02,
    layers: layersOf(engine),
  };
  for (const [name, shape] of engine.weights) {
    throwIfAborted(signal);
    if (!params) await engine.write(name, await initialWeights(name, shape, drawn));
    const { ema } = engine.statesOf(name);
    const length = shape.reduce((n, d) => n * d, 1);
    if (ema !== undefined) await engine.write(ema, await engine.read(name, length));
  }
}

/** Layers, by the numbers in the names of the weights. */
const layersOf = ({ weights }: TrainingEngine): number =>
  new Set([...weights.keys()].flatMap((name) => /\.(\d+)\./.exec(name)?.[1] ?? [])).size || 1;

/** FNV-1a over UTF-16 units: tells tensors' random streams apart. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/**
 * First numbers of a weight: norms 1, other vectors 0, matrices normal with GPT-2's deviations (Radford et al. 2019, section 2.3).
 * They depend on the seed, the name and the place in the tensor alone.
 */
export async function initialWeights(
  name: string,
  shape: readonly number[],
  { seed, deviation, layers, ones, residual }: InitializeOptions,
): Promise<Float32Array> {
  const weights = new Float32Array(shape.reduce((n, d) => n * d, 1));
  if (ones.test(name)) return weights.fill(1);
  if (shape.length < 2) return weights;
  const scale = residual.test(name) ? deviation / Math.sqrt(2 * layers) : deviation;
  const key = [seed >>> 0, hashOf(name)] as const;
  const pause = timeSlices();
  for (let i = 0; i < weights.length; i += 4) {
    const words = philox4x32([i / 4, Math.floor(seed / 2 ** 32), 0, 0], key);
    // Box and Muller 1958: two normal numbers from two uniform ones.
    for (const [at, a, b] of [
      [i, words[0], words[1]],
      [i + 2, words[2], words[3]],
    ] as const) {
      const radius = scale * Math.sqrt(-2 * Math.log((a + 0.5) / 2 ** 32));
      const angle = (2 * Math.PI * b) / 2 ** 32;
      weights[at] = radius * Math.cos(angle);
      weights[at + 1] = radius * Math.sin(angle);
    }
    if (i % 2048 === 0) await pause();
  }
  return weights;
}
