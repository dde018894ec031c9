import { InvalidArgumentError, UnsupportedError } from '../errors.js';
import type { MemoryLimit } from '../exec/available_memory.js';
import type { Executable, Executor, Session, StateMemory } from '../exec/executor.js';
import { timeSlices } from '../exec/time_slices.js';
import { checkRoom } from '../generate/memory_needs.js';
import type { TextConfig, TextFamily } from '../models/family.js';
import type { Compute } from '../ops/matmul.js';
import type { RunData, Tensor } from '../tensor.js';
import { memoryParams } from '../weights/param_source.js';
import { buildLossGraph } from './loss_graph.js';
import type { PackedBatch } from './packed_batch.js';
import {
  averageState,
  buildNormGraph,
  buildUpdateGraph,
  type Optimizer,
  optimizerState,
  optimizerStates,
} from './update_graph.js';

export interface EngineOptions {
  readonly family: TextFamily;
  readonly config: TextConfig;
  readonly executor: Executor;
  readonly compute: Compute;
  readonly labelSmoothing: number;
  readonly recompute: boolean;
  readonly optimizer: Optimizer;
  readonly nesterov: boolean;
  /** Whether moving averages of the weights are kept. */
  readonly average: boolean;
  /** Whether weights of that shape decay. Left out: {@link matricesDecay}. */
  readonly decays?: (shape: readonly number[]) => boolean;
  /** What the states may take. Left out: anything. */
  readonly memory?: MemoryLimit | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What one optimizer step does with the gradients. */
export interface UpdateRule {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly momentum: number;
  readonly weightDecay: number;
  /** Share of the average that stays. */
  readonly average: number;
  /** Number of this step, from 1. */
  readonly step: number;
  /** Factor of the gradients. */
  readonly factor: number;
}

/** Numbers that are copied at once, while the event loop waits. */
const pieceLength = 2 ** 20;

/**
 * A model that learns: its weights, optimizer moments and gradients are states of one session, and four graphs work on them.
 * Calls must not overlap.
 */
export class TrainingEngine {
  readonly weights: ReadonlyMap<string, readonly number[]>;
  readonly #session: Session;
  readonly #states: StateMemory;
  readonly #options: EngineOptions;
  readonly #loss: Executable;
  readonly #evaluation: Executable;
  readonly #norm: Executable;
  readonly #update: Executable;

  /** Throws UnsupportedError for a model that cannot be trained, or a device that does not train; OutOfMemoryError. */
  static async open(options: EngineOptions): Promise<TrainingEngine> {
    const {
      family,
      config,
      executor,
      compute,
      labelSmoothing,
      recompute,
      optimizer,
      nesterov,
      average,
      decays = matricesDecay,
      signal,
    } = options;
    if (family.encode)
      throw new UnsupportedError(`train: encoder-decoder models (${family.name}) are not trained yet`);
    const session = executor.open(memoryParams({}));
    try {
      if (!session.states)
        throw new UnsupportedError(`train: device "${executor.device}" does not train; use device "cpu"`);
      const loss = buildLossGraph(family, config, { compute, labelSmoothing, recompute, gradients: true });
      const { weights } = loss;
      checkStates(options, weights);
      const builds = [
        () => loss.graph,
        () =>
          buildLossGraph(family, config, {
            compute,
            labelSmoothing: 0,
            recompute: false,
            gradients: false,
          }).graph,
        () => buildNormGraph(weights),
        () => buildUpdateGraph({ weights, optimizer, nesterov, average, decays }),
      ];
      const pause = timeSlices();
      const compiled: Executable[] = [];
      for (const build of builds) {
        await pause();
        compiled.push(await session.compile(build(), { signal }));
      }
      return new TrainingEngine(session, session.states, options, weights, compiled);
    } catch (error) {
      await session.dispose();
      throw error;
    }
  }

  private constructor(
    session: Session,
    states: StateMemory,
    options: EngineOptions,
    weights: TrainingEngine['weights'],
    [loss, evaluation, norm, update]: readonly Executable[],
  ) {
    this.#session = session;
    this.#states = states;
    this.#options = options;
    this.weights = weights;
    this.#loss = loss as Executable;
    this.#evaluation = evaluation as Executable;
    this.#norm = norm as Executable;
    this.#update = update as Executable;
  }

  /** Memory held: weights, moments, gradients and workspace. */
  get bytes(): number {
    return this.#session.bytes;
  }

  /** Memory that a pass over sequences of those sizes takes, with all that is held; NaN where the device cannot tell. */
  estimate(bindings: { readonly T: number; readonly B1: number }): number {
    const workspace = [this.#loss, this.#evaluation].map(
      (graph) => graph.workspaceBytes?.(bindings) ?? Number.NaN,
    );
    return this.#session.bytes + Math.max(...workspace);
  }

  /** States of a weight that a checkpoint must hold beside it, by their kind. */
  statesOf(name: string): Readonly<Record<string, string>> {
    const kinds = optimizerStates[this.#options.optimizer].map((kind) => [kind, optimizerState(kind, name)]);
    return Object.fromEntries(this.#options.average ? [...kinds, ['ema', averageState(name)]] : kinds);
  }

  /** Adds the gradients of Σ weight · loss to what is there, and returns that sum in nats. */
  async accumulate(batch: PackedBatch, signal?: AbortSignal): Promise<number> {
    return await this.#lossOf(this.#loss, batch, signal);
  }

  /** Σ weight · loss, without label smoothing. */
  async evaluate(batch: PackedBatch, signal?: AbortSignal): Promise<number> {
    return await this.#lossOf(this.#evaluation, batch, signal);
  }

  async #lossOf(
    executable: Executable,
    batch: PackedBatch,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const { tokens, positions, labels, starts, weights } = batch;
    const { loss } = await executable.run({
      inputs: { tokens, positions, labels, starts, loss_weights: weights },
      bindings: { T: tokens.length, B1: starts.length },
      signal,
    });
    return scalarOf(loss);
  }

  /** L2 norm of all gradients together. */
  async gradientNorm(signal?: AbortSignal): Promise<number> {
    const { squares } = await this.#norm.run({ inputs: {}, bindings: {}, signal });
    return Math.sqrt(scalarOf(squares));
  }

  /** One optimizer step. Gradients are 0 afterwards. Not to be interrupted: there is no signal. */
  async update(rule: UpdateRule): Promise<void> {
    const inputs: Record<string, RunData> = {
      hyper: this.#hyper(rule, rule.weightDecay),
      hyper_without_decay: this.#hyper(rule, 0),
      average: Float32Array.of(rule.average),
    };
    await this.#update.run({ inputs, bindings: {} });
  }

  #hyper(rule: UpdateRule, weightDecay: number): Float32Array {
    if (this.#options.optimizer === 'sgd')
      return Float32Array.of(rule.learningRate, rule.momentum, weightDecay, rule.factor);
    return Float32Array.of(
      rule.learningRate,
      rule.beta1,
      rule.beta2,
      rule.epsilon,
      weightDecay,
      1 - rule.beta1 ** rule.step,
      1 - rule.beta2 ** rule.step,
      rule.factor,
    );
  }

  /** A copy of a state's numbers, row-major. */
  async read(state: string, length: number): Promise<Float32Array> {
    const numbers = new Float32Array(length);
    await this.#pieces(numbers, (begin, piece) => this.#states.read(state, begin, piece));
    return numbers;
  }

  async write(state: string, numbers: Float32Array): Promise<void> {
    await this.#pieces(numbers, (begin, piece) => this.#states.write(state, begin, piece));
  }

  async #pieces(numbers: Float32Array, copy: (begin: number, piece: Float32Array) => void): Promise<void> {
    const pause = timeSlices();
    for (let begin = 0; begin < numbers.length; begin += pieceLength) {
      copy(begin, numbers.subarray(begin, begin + pieceLength));
      await pause();
    }
  }

  /** Does `work` while the weights are their averages, where there are any. They are back afterwards, to the bit. */
  async withAverages<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#options.average) return await work();
    await this.#exchangeAverages();
    try {
      return await work();
    } finally {
      await this.#exchangeAverages();
    }
  }

  async #exchangeAverages(): Promise<void> {
    for (const [name, shape] of this.weights) {
      const length = sizeOf(shape);
      const [weight, average] = [await this.read(name, length), await this.read(averageState(name), length)];
      await this.write(name, average);
      await this.write(averageState(name), weight);
    }
  }

  async dispose(): Promise<void> {
    await this.#session.dispose();
  }
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** Weights, gradients, moments and averages have to fit before any of them is there. */
function checkStates(
  { memory, optimizer, average }: EngineOptions,
  weights: ReadonlyMap<string, readonly number[]>,
): void {
  if (!memory) return;
  const copies = 2 + optimizerStates[optimizer].length + Number(average);
  const bytes = 4 * copies * [...weights.values()].reduce((sum, shape) => sum + sizeOf(shape), 0);
  const purpose = 'of weights, gradients and optimizer states';
  checkRoom('train', { bytes, purpose, remedy: 'train a smaller model' }, memory);
}

/** Matrices decay, vectors (norms, biases) do not: Radford et al. 2018, section 4.1. */
const matricesDecay = (shape: readonly number[]): boolean => shape.length > 1;

function scalarOf(tensor: Tensor | undefined): number {
  const value = tensor?.data[0];
  if (value === undefined) throw new InvalidArgumentError('train: a run gave no loss');
  return Number(value);
}
