import { InvalidArgumentError } from '../errors.js';
import { checkCall } from '../generate/check_call.js';
import { show } from '../weights/json_file.js';
import { type Schedule, type ScheduleOptions, schedules } from './schedule.js';
import type { Optimizer } from './update_graph.js';

/** What happened in a training run, in order. */
export type TrainEvent =
  | {
      readonly type: 'start';
      readonly parameters: number;
      readonly isa: string;
      readonly memoryEstimate: number;
    }
  /** A checkpoint was found and the run goes on after its step. */
  | { readonly type: 'resume'; readonly step: number; readonly directory: string }
  | StepEvent
  | {
      readonly type: 'evaluation';
      readonly step: number;
      readonly loss: number;
      readonly bitsPerByte: number;
    }
  | { readonly type: 'checkpoint'; readonly step: number; readonly directory: string };

/** One optimizer step. */
export interface StepEvent {
  readonly type: 'step';
  /** From 1. */
  readonly step: number;
  readonly steps: number;
  /** Mean over the step's labels, in nats. */
  readonly loss: number;
  /** L2 norm of all gradients before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly tokensPerSecond: number;
  /** Labels that this run has learned from, those before a resumption included. */
  readonly tokens: number;
  readonly epoch: number;
}

export interface TrainResult {
  /** The trained model's directory. */
  readonly directory: string;
  readonly steps: number;
  /** Labels learned from. */
  readonly tokens: number;
  /** Mean loss of the last step in nats a token; NaN where nothing was left to do and `metrics.jsonl` is gone. */
  readonly loss: number;
  /** Of the written model on the validation split, where there is one: nats a token, and bits a UTF-8 byte of text. */
  readonly validationLoss?: number;
  readonly validationBitsPerByte?: number;
  /** Memory in bytes that the engine held, and what was expected before the first step. */
  readonly bytes: number;
  readonly estimatedBytes: number;
}

export interface TrainOptions {
  /** Directory to write to: the trained model, and beside it `checkpoints/`, `metrics.jsonl`, `loss.svg`. */
  readonly output: string;
  /** Optimizer steps in all. */
  readonly steps: number;
  /** Sequences of one forward and backward pass. Default 8. */
  readonly batchSize?: number | undefined;
  /** Passes whose gradients make one step. Default 1. */
  readonly accumulation?: number | undefined;
  /** Tokens of a sequence. Default: the model's, at most 1024. */
  readonly contextLength?: number | undefined;
  /** Default `adamw`. */
  readonly optimizer?: Optimizer | undefined;
  /** The highest. Default 1e-3. */
  readonly learningRate?: number | undefined;
  /** Where schedules that fall end. Default 0. */
  readonly minLearningRate?: number | undefined;
  /** Default `cosine`. */
  readonly schedule?: Schedule | undefined;
  /** Steps in which the learning rate rises from 0. Default: a hundredth of all. */
  readonly warmupSteps?: number | undefined;
  /** Of `warmup_stable_decay`. Default: a fifth of all steps. */
  readonly decaySteps?: number | undefined;
  /** Defaults 0.9 and 0.95. */
  readonly beta1?: number | undefined;
  readonly beta2?: number | undefined;
  /** Of AdamW. Default 1e-8. */
  readonly epsilon?: number | undefined;
  /** Of SGD. Default 0.9. */
  readonly momentum?: number | undefined;
  /** Of SGD. Default false. */
  readonly nesterov?: boolean | undefined;
  /** Of matrices; vectors do not decay. Default 0.1. */
  readonly weightDecay?: number | undefined;
  /** Gradients are scaled down to this L2 norm; 0: never. Default 1. */
  readonly maxGradientNorm?: number | undefined;
  /** Default 0. */
  readonly labelSmoothing?: number | undefined;
  /** Decay of a moving average of the weights, which is what is written in the end; 0: none. Default 0. */
  readonly emaDecay?: number | undefined;
  /** What products are computed in. Default `auto`: bf16 where the CPU has it (weights and moments stay f32), else f32. */
  readonly compute?: 'auto' | 'f32' | 'bf16' | undefined;
  /** Compute activations again in the backward pass instead of keeping them. Default false. */
  readonly recompute?: boolean | undefined;
  /** Of first weights and of the order of the data. Default 0. */
  readonly seed?: number | undefined;
  /** Steps between checkpoints; the last step has one in any case. Default 500. */
  readonly checkpointEvery?: number | undefined;
  /** Checkpoints that are kept. Default 2. */
  readonly keepCheckpoints?: number | undefined;
  /** Steps between evaluations on the validation split; 0: never. Default 500. */
  readonly evaluateEvery?: number | undefined;
  /** Tokens of an evaluation at most. Default 65,536. */
  readonly evaluationTokens?: number | undefined;
  /** Whether to go on from the newest checkpoint in `output`. Default true. */
  readonly resume?: boolean | undefined;
  /** Default `cpu`. */
  readonly device?: 'cpu' | 'reference' | undefined;
  /** Default: physical cores within affinity and the container's quota. Changes no bit. */
  readonly threads?: number | undefined;
  /** An abort ends the run after a checkpoint of the last whole step. */
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: TrainEvent) => void) | undefined;
}

/** The options with their defaults. */
export type TrainSettings = {
  readonly [K in keyof Omit<TrainOptions, 'contextLength' | 'threads' | 'signal' | 'onEvent'>]-?: NonNullable<
    TrainOptions[K]
  >;
} & Pick<TrainOptions, 'contextLength' | 'threads' | 'signal' | 'onEvent'> &
  ScheduleOptions;

interface Rule {
  readonly min: number;
  readonly max?: number;
  readonly integer?: boolean;
}

const count: Rule = { min: 1, max: 2 ** 31, integer: true };
const countOrNone: Rule = { ...count, min: 0 };
const share: Rule = { min: 0, max: 0.9999999 };

const numbers: Readonly<Partial<Record<keyof TrainOptions, Rule>>> = {
  steps: count,
  batchSize: count,
  accumulation: count,
  contextLength: count,
  learningRate: { min: 0 },
  minLearningRate: { min: 0 },
  warmupSteps: countOrNone,
  decaySteps: countOrNone,
  beta1: share,
  beta2: share,
  epsilon: { min: 0 },
  momentum: share,
  weightDecay: { min: 0 },
  maxGradientNorm: { min: 0 },
  labelSmoothing: share,
  emaDecay: share,
  seed: { min: 0, max: Number.MAX_SAFE_INTEGER, integer: true },
  checkpointEvery: count,
  keepCheckpoints: count,
  evaluateEvery: countOrNone,
  evaluationTokens: count,
  threads: { ...count, max: 256 },
};

const choices: Readonly<Partial<Record<keyof TrainOptions, readonly string[]>>> = {
  optimizer: ['adamw', 'sgd'],
  schedule: schedules,
  compute: ['auto', 'f32', 'bf16'],
  device: ['cpu', 'reference'],
  nesterov: ['true', 'false'],
  recompute: ['true', 'false'],
  resume: ['true', 'false'],
};

/** Options that mean something with some values of another option only. */
const uses: readonly (readonly [
  names: readonly (keyof TrainOptions)[],
  of: keyof TrainOptions,
  values: readonly string[],
])[] = [
  [['beta1', 'beta2', 'epsilon'], 'optimizer', ['adamw']],
  [['momentum', 'nesterov'], 'optimizer', ['sgd']],
  [['decaySteps'], 'schedule', ['warmup_stable_decay']],
  [['minLearningRate'], 'schedule', ['linear', 'cosine', 'cosine_with_restarts', 'warmup_stable_decay']],
];

/** Names of all options of train(). */
export const trainOptionNames: readonly (keyof TrainOptions)[] = [
  'output',
  'signal',
  'onEvent',
  ...(Object.keys(numbers) as (keyof TrainOptions)[]),
  ...(Object.keys(choices) as (keyof TrainOptions)[]),
];

/** Checks the options and fills in defaults. Throws InvalidArgumentError. */
export function trainSettings(options: TrainOptions): TrainSettings {
  checkCall('train', options, { names: trainOptionNames, choices });
  for (const [name, rule] of Object.entries(numbers))
    checkNumber(name, options[name as keyof TrainOptions], rule);
  for (const name of ['nesterov', 'recompute', 'resume'] as const)
    if (options[name] !== undefined && typeof options[name] !== 'boolean')
      throw new InvalidArgumentError(`train: expected ${name} to be a boolean, got ${show(options[name])}`);
  if (options.onEvent !== undefined && typeof options.onEvent !== 'function')
    throw new InvalidArgumentError(`train: expected onEvent to be a function, got ${show(options.onEvent)}`);
  const { output, steps } = options;
  if (typeof output !== 'string' || output === '')
    throw new InvalidArgumentError(`train: expected output to be a path, got ${String(output)}`);
  if (steps === undefined)
    throw new InvalidArgumentError('train: expected steps, the number of optimizer steps');
  const settings = {
    batchSize: 8,
    accumulation: 1,
    optimizer: 'adamw',
    learningRate: 1e-3,
    minLearningRate: 0,
    schedule: 'cosine',
    warmupSteps: Math.ceil(steps / 100),
    decaySteps: Math.ceil(steps / 5),
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    momentum: 0.9,
    nesterov: false,
    weightDecay: 0.1,
    maxGradientNorm: 1,
    labelSmoothing: 0,
    emaDecay: 0,
    compute: 'auto',
    recompute: false,
    seed: 0,
    checkpointEvery: 500,
    keepCheckpoints: 2,
    evaluateEvery: 500,
    evaluationTokens: 65536,
    resume: true,
    device: 'cpu',
    ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
  } as unknown as TrainSettings;
  for (const [names, of, values] of uses) {
    const useless = names.find((name) => options[name] !== undefined);
    if (useless !== undefined && !values.includes(String(settings[of])))
      throw new InvalidArgumentError(
        `train: ${useless} is an option of ${of} ${values.join(', ')}, got ${of} ${String(settings[of])}`,
      );
  }
  if (settings.minLearningRate > settings.learningRate)
    throw new InvalidArgumentError(
      `train: expected minLearningRate of at most learningRate ${settings.learningRate}, got ${settings.minLearningRate}`,
    );
  return settings;
}

function checkNumber(name: string, value: unknown, { min, max = Number.MAX_VALUE, integer }: Rule): void {
  if (value === undefined) return;
  const fits =
    typeof value === 'number' && value >= min && value <= max && (!integer || Number.isSafeInteger(value));
  if (fits) return;
  const kind = integer ? 'an integer' : 'a number';
  const range = max === Number.MAX_VALUE ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new InvalidArgumentError(`train: expected ${name} to be ${kind} ${range}, got ${String(value)}`);
}
