import { join } from 'node:path';
import { storageError } from '../data/storage_error.js';
import type { TokenBatches, TokenData } from '../data/token_data.js';
import { abortError, InvalidArgumentError, throwIfAborted } from '../errors.js';
import { availableMemory } from '../exec/available_memory.js';
import { cpuExecutor, cpuTraits } from '../exec/cpu.js';
import { referenceExecutor } from '../exec/reference.js';
import { checkRoom } from '../generate/memory_needs.js';
import { Checkpoints, checkGoesOn, readState, restore, type TrainerState } from './checkpoints.js';
import { TrainingEngine } from './engine.js';
import { firstWeights } from './initialize.js';
import { Metrics } from './metrics.js';
import type { TrainEvent, TrainResult, TrainSettings } from './options.js';
import { packRows, windowLength } from './packed_batch.js';
import { saveModel } from './save_model.js';
import { learningRateAt } from './schedule.js';
import type { TrainableModel } from './trainable_model.js';
import { averageState } from './update_graph.js';
import { contextLengthOf, readValidation, rowsOf, type Validation } from './validation.js';

/** One training run: what it works on, and how far it has come. Dispose it to free the engine. */
export class Run {
  readonly #engine: TrainingEngine;
  readonly #model: TrainableModel;
  readonly #settings: TrainSettings;
  readonly #contextLength: number;
  readonly #batches: TokenBatches;
  readonly #validation: Validation | undefined;
  readonly #checkpoints: Checkpoints;
  readonly #metrics: Metrics;
  readonly #estimatedBytes: number;
  #state: TrainerState;
  /** Step of the newest checkpoint. */
  #saved = 0;
  /** What the caller's onEvent has thrown. */
  #complaint: { readonly error: unknown } | undefined;

  /** Compiles the graphs, and puts weights into them: of the newest checkpoint, of the model, or by chance. */
  static async open(
    model: TrainableModel,
    data: TokenData,
    validation: TokenData | undefined,
    settings: TrainSettings,
  ): Promise<Run> {
    const { device, threads, signal } = settings;
    contextLengthOf(model, settings);
    const memory = availableMemory();
    const executor = device === 'cpu' ? cpuExecutor({ threads }) : referenceExecutor;
    const bf16 = device === 'cpu' && cpuTraits(executor.isa).bf16Dot;
    const engine = await TrainingEngine.open({
      ...model,
      executor,
      memory,
      compute: settings.compute === 'auto' ? (bf16 ? 'bf16' : 'f32') : settings.compute,
      labelSmoothing: settings.labelSmoothing,
      recompute: settings.recompute,
      optimizer: settings.optimizer,
      nesterov: settings.nesterov,
      average: settings.emaDecay > 0,
      signal,
    });
    try {
      const held = validation && (await readValidation(model, validation, settings));
      const run = new Run(engine, model, data, held, settings);
      checkRoom(
        'train',
        {
          bytes: run.#estimatedBytes || 0,
          purpose: 'of weights and workspace',
          remedy: 'take a smaller batchSize (with more accumulation) or contextLength, or recompute',
        },
        memory,
      );
      await run.#begin(executor.isa);
      return run;
    } catch (error) {
      await engine.dispose();
      throw error;
    }
  }

  private constructor(
    engine: TrainingEngine,
    model: TrainableModel,
    data: TokenData,
    validation: Validation | undefined,
    settings: TrainSettings,
  ) {
    const { output, batchSize, keepCheckpoints } = settings;
    this.#engine = engine;
    this.#model = model;
    this.#settings = settings;
    this.#contextLength = contextLengthOf(model, settings);
    this.#batches = data.batches({
      contextLength: windowLength(this.#contextLength, model.bosTokenId) - 1,
      batchSize,
      seed: settings.seed,
    });
    this.#validation = validation;
    this.#checkpoints = new Checkpoints(join(output, 'checkpoints'), keepCheckpoints);
    this.#metrics = new Metrics(output);
    this.#estimatedBytes = engine.estimate({ T: batchSize * this.#contextLength, B1: batchSize + 1 });
    const { tokens, documents, bytes, tokenizerSha256 } = data;
    this.#state = {
      step: 0,
      tokens: 0,
      fixed: {
        model: model.json,
        tokens,
        documents,
        bytes,
        tokenizer: tokenizerSha256,
        optimizer: settings.optimizer,
        ema: settings.emaDecay > 0,
      },
    };
  }

  /** An error of the caller's must not end a step in its middle: the run stops when the step is whole. */
  #tell(event: TrainEvent): void {
    try {
      this.#settings.onEvent?.(event);
    } catch (error) {
      this.#complaint ??= { error };
    }
  }

  #throwIfStopped(): void {
    throwIfAborted(this.#settings.signal);
    if (this.#complaint) throw this.#complaint.error;
  }

  async #begin(isa: string): Promise<void> {
    const { resume, steps } = this.#settings;
    const parameters = [...this.#engine.weights.values()].reduce((sum, shape) => sum + sizeOf(shape), 0);
    this.#tell({ type: 'start', parameters, isa, memoryEstimate: this.#estimatedBytes });
    await this.#checkpoints.clean();
    if (!resume) await this.#checkpoints.discardAll();
    const newest = await this.#checkpoints.newest();
    if (newest !== undefined) {
      const state = await readState(newest);
      checkGoesOn(newest, state, { fixed: this.#state.fixed, steps });
      await restore(newest, this.#model, this.#engine);
      this.#state = state;
      this.#saved = state.step;
      this.#tell({ type: 'resume', step: state.step, directory: newest });
    } else await firstWeights(this.#engine, this.#model, this.#settings);
    await this.#metrics.open(this.#state.step);
  }

  /** Does the steps that are left and writes the model. */
  async finish(): Promise<TrainResult> {
    const { steps, output } = this.#settings;
    try {
      this.#throwIfStopped();
      while (this.#state.step < steps) {
        await this.#step();
        this.#throwIfStopped();
        await this.#afterStep();
        this.#throwIfStopped();
      }
    } catch (error) {
      await this.#stop(error);
      throw error;
    }
    await this.#metrics.save();
    const average = this.#settings.emaDecay > 0;
    await saveModel(output, this.#model, this.#engine, average ? averageState : (name) => name).catch(
      (error: unknown) => {
        throw storageError(output, error);
      },
    );
    const evaluation = this.#metrics.last('evaluation');
    return {
      directory: output,
      steps,
      tokens: this.#state.tokens,
      loss: this.#metrics.last('step')?.loss ?? Number.NaN,
      ...(evaluation?.step === steps
        ? { validationLoss: evaluation.loss, validationBitsPerByte: evaluation.bitsPerByte }
        : {}),
      bytes: this.#engine.bytes,
      estimatedBytes: this.#estimatedBytes,
    };
  }

  /** Of a run that the caller ends, the steps so far are kept; one that fails leaves its last checkpoint, and its metrics. */
  async #stop(error: unknown): Promise<void> {
    if (isAbort(error)) {
      await this.#save();
      throw abortError(this.#settings.signal?.reason);
    }
    if (this.#complaint && error === this.#complaint.error) await this.#save();
    else await this.#metrics.save().catch(() => undefined);
  }

  async #step(): Promise<void> {
    const engine = this.#engine;
    const settings = this.#settings;
    const { accumulation, batchSize, maxGradientNorm, signal } = settings;
    const begun = performance.now();
    const { step } = this.#state;
    const weight = 1 / (accumulation * batchSize * this.#contextLength);
    let [loss, tokens, epoch] = [0, 0, 0];
    for (let i = 0; i < accumulation; i++) {
      const batch = await this.#batches.batch(step * accumulation + i, { signal });
      const packed = packRows(rowsOf(batch.ids, batch.documentStarts), {
        bosTokenId: this.#model.bosTokenId,
        weight,
      });
      loss += await engine.accumulate(packed, signal);
      tokens += packed.count;
      epoch = batch.epoch;
    }
    const gradientNorm = await engine.gradientNorm(signal);
    throwIfAborted(signal);
    const learningRate = learningRateAt(step, settings);
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm))
      throw await this.#diverged({ loss, gradientNorm, learningRate });
    await engine.update({
      ...settings,
      learningRate,
      average: settings.emaDecay,
      step: step + 1,
      factor: maxGradientNorm > 0 ? Math.min(1, maxGradientNorm / (gradientNorm + 1e-6)) : 1,
    });
    this.#state = { ...this.#state, step: step + 1, tokens: this.#state.tokens + tokens };
    const event = {
      type: 'step',
      step: step + 1,
      loss,
      gradientNorm,
      learningRate,
      tokensPerSecond: tokens / ((performance.now() - begun) / 1000),
      tokens: this.#state.tokens,
      epoch,
    } as const;
    await this.#metrics.add(event);
    this.#tell({ ...event, steps: settings.steps });
  }

  /** A checkpoint of the very weights that gave such a loss is no good to go on from: the one before stays. */
  async #diverged(got: {
    readonly loss: number;
    readonly gradientNorm: number;
    readonly learningRate: number;
  }): Promise<InvalidArgumentError> {
    const { step } = this.#state;
    if (step > 0 && this.#saved === step) this.#saved = await this.#checkpoints.discardNewest();
    const kept =
      this.#saved > 0 ? `the newest checkpoint is that of step ${this.#saved}` : 'there is no checkpoint yet';
    return new InvalidArgumentError(
      `train: step ${step + 1}: expected a finite loss and gradient, got a loss of ${got.loss} and a gradient of norm ${got.gradientNorm} at a learning rate of ${got.learningRate}; ${kept}; lower learningRate or maxGradientNorm, or warm up longer`,
    );
  }

  /** Evaluates and saves when it is time. */
  async #afterStep(): Promise<void> {
    const { step } = this.#state;
    const { steps, evaluateEvery, checkpointEvery } = this.#settings;
    const last = step === steps;
    if (this.#validation && (last || step % evaluateEvery === 0)) await this.#evaluate(this.#validation);
    if (last || step % checkpointEvery === 0) await this.#save();
  }

  /** Of what would be written: the averages, where there are any. */
  async #evaluate({ batches, bytesPerToken }: Validation): Promise<void> {
    const { step } = this.#state;
    const loss = await this.#engine.withAverages(async () => {
      let sum = 0;
      for (const batch of batches) sum += await this.#engine.evaluate(batch, this.#settings.signal);
      return sum;
    });
    const event = { type: 'evaluation', step, loss, bitsPerByte: loss / Math.LN2 / bytesPerToken } as const;
    await this.#metrics.add(event);
    this.#tell(event);
  }

  /** A checkpoint of the last whole step, unless it has one. Metrics come first: a run that goes on from it has them all. */
  async #save(): Promise<void> {
    const { step } = this.#state;
    if (step === this.#saved) return;
    await this.#metrics.save();
    const directory = await this.#checkpoints.save(this.#model, this.#engine, this.#state);
    this.#saved = step;
    this.#tell({ type: 'checkpoint', step, directory });
  }

  async dispose(): Promise<void> {
    await this.#engine.dispose();
  }
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError';
