import { join } from 'node:path';
import { tokenizerSha256 } from '../data/data_tokenizer.js';
import { hasSplit, openTokenData } from '../data/open_token_data.js';
import type { TokenBatches, TokenData } from '../data/token_data.js';
import { abortError, InvalidArgumentError, throwIfAborted } from '../errors.js';
import { cpuExecutor, cpuTraits } from '../exec/cpu.js';
import { referenceExecutor } from '../exec/reference.js';
import type { Compute } from '../ops/matmul.js';
import { makeDirectory } from '../weights/model_directory.js';
import { checkParams } from '../weights/param_source.js';
import { Checkpoints, loadWeights, restore, type TrainerState } from './checkpoints.js';
import { TrainingEngine } from './engine.js';
import { initialWeights, plainInitialization } from './initialize.js';
import { Metrics } from './metrics.js';
import { type TrainEvent, type TrainOptions, type TrainSettings, trainSettings } from './options.js';
import { type PackedBatch, packRows, windowLength } from './packed_batch.js';
import { saveModel } from './save_model.js';
import { learningRateAt } from './schedule.js';
import { type NewModel, openTrainable, type TrainableModel } from './trainable_model.js';
import { averageState } from './update_graph.js';

export interface TrainResult {
  /** The trained model's directory. */
  readonly directory: string;
  readonly steps: number;
  /** Labels learned from. */
  readonly tokens: number;
  /** Mean loss of the last step in nats; NaN where a resumed run had nothing left to do. */
  readonly loss: number;
  /** On the validation split, where there is one: nats a token, and bits a UTF-8 byte. */
  readonly validationLoss?: number;
  readonly validationBitsPerByte?: number;
  /** Memory that the engine held, and what was expected before the first step. */
  readonly bytes: number;
  readonly estimatedBytes: number;
}

const longestContext = 1024;

/**
 * Trains a causal language model on prepared data (see prepareData): a new one, or one that has weights (fine-tuning). What it writes
 * is an ordinary model directory. A run that was ended goes on from its newest checkpoint, to the same bits. Rejects with
 * ModelFormatError, UnsupportedError, InvalidArgumentError (also a loss that is no longer finite: the last good checkpoint stays),
 * DeviceUnavailableError without the addon, OutOfMemoryError, or AbortError after a checkpoint of the last whole step.
 */
export async function train(
  model: string | NewModel,
  data: string,
  options: TrainOptions,
): Promise<TrainResult> {
  const settings = trainSettings(options);
  const { signal } = settings;
  throwIfAborted(signal);
  const trainable = await openTrainable(model, signal);
  await makeDirectory(settings.output);
  const { vocabSize } = trainable.config;
  await using training = await openTokenData(data, { vocabSize });
  await checkTokenizer(training, trainable);
  await using validation =
    settings.evaluateEvery > 0 && (await hasSplit(data, 'validation'))
      ? await openTokenData(data, { split: 'validation', vocabSize })
      : undefined;
  const run = await Run.open(trainable, training, validation, settings);
  try {
    return await run.finish();
  } finally {
    await run.engine.dispose();
  }
}

/** Data must come from the model's own tokenizer: ids of another mean other text. */
async function checkTokenizer(data: TokenData, { directory }: TrainableModel): Promise<void> {
  // A directory without a tokenizer takes ids, and cannot be compared.
  const own = directory === undefined ? undefined : await tokenizerSha256(directory).catch(() => undefined);
  if (own !== undefined && own !== data.tokenizerSha256)
    throw new InvalidArgumentError(
      `train: ${data.name}: expected tokens of the model's own tokenizer (${directory}, SHA-256 ${own.slice(0, 12)}…), got those of another (${data.tokenizerSha256.slice(0, 12)}…); prepare the data with it`,
    );
}

/** One training run: what it works on, and how far it has come. */
class Run {
  readonly engine: TrainingEngine;
  readonly #model: TrainableModel;
  readonly #settings: TrainSettings;
  readonly #contextLength: number;
  readonly #batches: TokenBatches;
  readonly #validation: readonly PackedBatch[];
  /** UTF-8 bytes a validation token stands for. */
  readonly #bytesPerToken: number;
  readonly #checkpoints: Checkpoints;
  readonly #metrics: Metrics;
  readonly #estimatedBytes: number;
  #state: TrainerState;
  /** Step of the newest checkpoint. */
  #saved = 0;
  #loss = Number.NaN;

  static async open(
    model: TrainableModel,
    data: TokenData,
    validation: TokenData | undefined,
    settings: TrainSettings,
  ): Promise<Run> {
    const { signal } = settings;
    const executor =
      settings.device === 'cpu' ? cpuExecutor({ threads: settings.threads }) : referenceExecutor;
    const bf16 = settings.device === 'cpu' && cpuTraits(executor.isa).bf16Dot;
    const compute: Compute = settings.compute === 'auto' ? (bf16 ? 'bf16' : 'f32') : settings.compute;
    const engine = await TrainingEngine.open({
      ...model,
      executor,
      compute,
      labelSmoothing: settings.labelSmoothing,
      recompute: settings.recompute,
      optimizer: settings.optimizer,
      nesterov: settings.nesterov,
      average: settings.emaDecay > 0,
      signal,
    });
    try {
      const run = new Run(engine, model, data, settings, {
        batches: await validationBatches(model, validation, settings),
        bytesPerToken: validation ? validation.bytes / validation.tokens : Number.NaN,
      });
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
    settings: TrainSettings,
    validation: { readonly batches: readonly PackedBatch[]; readonly bytesPerToken: number },
  ) {
    this.engine = engine;
    this.#model = model;
    this.#settings = settings;
    this.#contextLength = contextLengthOf(model, settings);
    this.#batches = data.batches({
      contextLength: windowLength(this.#contextLength, model.bosTokenId) - 1,
      batchSize: settings.batchSize,
      seed: settings.seed,
    });
    this.#validation = validation.batches;
    this.#bytesPerToken = validation.bytesPerToken;
    this.#checkpoints = new Checkpoints(join(settings.output, 'checkpoints'), settings.keepCheckpoints);
    this.#metrics = new Metrics(settings.output);
    this.#estimatedBytes = engine.estimate({
      T: settings.batchSize * this.#contextLength,
      B1: settings.batchSize + 1,
    });
    this.#state = {
      step: 0,
      tokens: 0,
      fixed: {
        model: model.json,
        tokens: data.tokens,
        tokenizer: data.tokenizerSha256,
        optimizer: settings.optimizer,
        ema: settings.emaDecay > 0,
      },
    };
  }

  #tell(event: TrainEvent): void {
    this.#settings.onEvent?.(event);
  }

  /** Weights from the newest checkpoint, the model or chance. */
  async #begin(isa: string): Promise<void> {
    const { engine } = this;
    const parameters = [...engine.weights.values()].reduce((sum, s) => sum + s.reduce((n, d) => n * d, 1), 0);
    this.#tell({ type: 'start', parameters, isa, memoryEstimate: this.#estimatedBytes });
    await this.#checkpoints.clean();
    const newest = this.#settings.resume ? await this.#checkpoints.newest() : undefined;
    if (newest !== undefined) {
      const state = await restore(newest, this.#model, engine);
      this.#checkSame(newest, state);
      this.#state = state;
      this.#saved = state.step;
      this.#tell({ type: 'resume', step: state.step, directory: newest });
    } else await this.#firstWeights();
    await this.#metrics.open(this.#state.step);
  }

  #checkSame(directory: string, { fixed }: TrainerState): void {
    for (const [name, value] of Object.entries(this.#state.fixed)) {
      if (JSON.stringify(fixed[name]) === JSON.stringify(value)) continue;
      throw new InvalidArgumentError(
        `train: ${directory}: its ${name} differs from this run's; train to another output, or with resume: false`,
      );
    }
  }

  async #firstWeights(): Promise<void> {
    const { engine } = this;
    const { params, family, json } = this.#model;
    if (params) {
      checkParams(new Map([...engine.weights].map(([name, shape]) => [name, { shape }])), params);
      await loadWeights(engine, params, this.#settings.signal);
    }
    for (const [name, shape] of engine.weights) {
      if (!params)
        await engine.write(
          name,
          await initialWeights(name, shape, {
            ...(family.initialization ?? plainInitialization),
            seed: this.#settings.seed,
            deviation: typeof json.initializer_range === 'number' ? json.initializer_range : 0.02,
            layers: layersOf(engine),
          }),
        );
      const { ema } = engine.statesOf(name);
      if (ema !== undefined) await engine.write(ema, await engine.read(name, sizeOf(shape)));
    }
  }

  /** Does the steps that are left and writes the model. */
  async finish(): Promise<TrainResult> {
    const { steps, output, signal } = this.#settings;
    let validation: number | undefined;
    try {
      while (this.#state.step < steps) {
        throwIfAborted(signal);
        await this.#step();
        validation = await this.#afterStep();
      }
    } catch (error) {
      if (error instanceof Error && error.name === 'AbortError') {
        await this.#save();
        throw abortError(signal?.reason);
      }
      throw error;
    }
    await this.#metrics.save();
    const average = this.#settings.emaDecay > 0;
    await saveModel(output, this.#model, this.engine, average ? averageState : (name) => name, undefined);
    return {
      directory: output,
      steps,
      tokens: this.#state.tokens,
      loss: this.#loss,
      ...(validation === undefined
        ? {}
        : { validationLoss: validation, validationBitsPerByte: this.#bitsPerByte(validation) }),
      bytes: this.engine.bytes,
      estimatedBytes: this.#estimatedBytes,
    };
  }

  async #step(): Promise<void> {
    const { engine } = this;
    const settings = this.#settings;
    const { signal } = settings;
    const begun = performance.now();
    const { step } = this.#state;
    const weight = 1 / (settings.accumulation * settings.batchSize * this.#contextLength);
    let [loss, tokens, epoch] = [0, 0, 0];
    for (let i = 0; i < settings.accumulation; i++) {
      const batch = await this.#batches.batch(step * settings.accumulation + i, { signal });
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
      throw this.#diverged(step, loss, learningRate);
    const { maxGradientNorm } = settings;
    await engine.update({
      ...settings,
      learningRate,
      average: settings.emaDecay,
      step: step + 1,
      factor: maxGradientNorm > 0 ? Math.min(1, maxGradientNorm / (gradientNorm + 1e-6)) : 1,
    });
    this.#loss = loss;
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

  #diverged(step: number, loss: number, learningRate: number): InvalidArgumentError {
    const kept =
      this.#saved > 0 ? `the checkpoint of step ${this.#saved} is whole` : 'there is no checkpoint yet';
    return new InvalidArgumentError(
      `train: step ${step + 1}: expected a finite loss and gradient, got a loss of ${loss} at a learning rate of ${learningRate}; ${kept}; lower learningRate or maxGradientNorm, or warm up longer`,
    );
  }

  /** Evaluates and saves when it is time. Returns the validation loss, if it was measured. */
  async #afterStep(): Promise<number | undefined> {
    const { step } = this.#state;
    const { steps, evaluateEvery, checkpointEvery, signal } = this.#settings;
    const last = step === steps;
    let loss: number | undefined;
    if (this.#validation.length > 0 && (last || step % evaluateEvery === 0)) {
      loss = 0;
      for (const batch of this.#validation) loss += await this.engine.evaluate(batch, signal);
      const event = { type: 'evaluation', step, loss, bitsPerByte: this.#bitsPerByte(loss) } as const;
      await this.#metrics.add(event);
      this.#tell(event);
    }
    if (last || step % checkpointEvery === 0) await this.#save();
    return loss;
  }

  #bitsPerByte(loss: number): number {
    return loss / Math.LN2 / this.#bytesPerToken;
  }

  /** A checkpoint of the last whole step, unless it has one. */
  async #save(): Promise<void> {
    const { step } = this.#state;
    if (step === this.#saved) return;
    const directory = await this.#checkpoints.save(this.#model, this.engine, this.#state);
    this.#saved = step;
    await this.#metrics.save();
    this.#tell({ type: 'checkpoint', step, directory });
  }
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** Layers, by the numbers in the names of the weights. */
const layersOf = ({ weights }: TrainingEngine): number =>
  new Set([...weights.keys()].flatMap((name) => /\.(\d+)\./.exec(name)?.[1] ?? [])).size || 1;

function contextLengthOf({ config }: TrainableModel, { contextLength }: TrainSettings): number {
  const length = contextLength ?? Math.min(config.contextLength, longestContext);
  if (length > config.contextLength)
    throw new InvalidArgumentError(
      `train: expected contextLength of at most the model's ${config.contextLength}, got ${length}`,
    );
  return length;
}

/** Rows of a batch, with the documents that begin in each. */
function rowsOf(ids: Int32Array, starts: readonly Int32Array[]) {
  const length = ids.length / starts.length;
  return starts.map((begins, row) => ({
    ids: ids.subarray(row * length, (row + 1) * length),
    starts: begins,
  }));
}

/** The first windows of the validation split, whose weights add up to 1. */
async function validationBatches(
  model: TrainableModel,
  data: TokenData | undefined,
  settings: TrainSettings,
): Promise<PackedBatch[]> {
  if (!data) return [];
  const contextLength = contextLengthOf(model, settings);
  const window = windowLength(contextLength, model.bosTokenId);
  if (data.tokens < window) return [];
  const { windowsPerEpoch, batch } = data.batches({
    contextLength: window - 1,
    batchSize: 1,
    shuffle: false,
  });
  const rows = Math.max(1, Math.min(windowsPerEpoch, Math.floor(settings.evaluationTokens / contextLength)));
  const batches: PackedBatch[] = [];
  for (let first = 0; first < rows; first += settings.batchSize) {
    const parts = [];
    for (let row = first; row < Math.min(first + settings.batchSize, rows); row++) {
      const { ids, documentStarts } = await batch(row);
      parts.push(...rowsOf(ids, documentStarts));
    }
    batches.push(packRows(parts, { bosTokenId: model.bosTokenId, weight: 1 / (rows * contextLength) }));
  }
  return batches;
}
