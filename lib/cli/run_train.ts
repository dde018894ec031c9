import { InvalidArgumentError } from '../errors.js';
import type { TrainEvent, TrainOptions } from '../train/options.js';
import { train } from '../train/train.js';
import type { NewModel } from '../train/trainable_model.js';
import { type JsonObject, readJsonFile } from '../weights/json_file.js';
import { locateModel } from './load_model.js';
import { terminalProgress } from './progress.js';
import { UsageError } from './report.js';
import { bytes } from './table.js';
import { print } from './terminal.js';

export type TrainFlags = Partial<Omit<TrainOptions, 'signal' | 'onEvent'>> & {
  readonly config?: string;
  readonly json?: boolean;
};

/** Runs `triga train`. */
export async function runTrain(
  model: string | undefined,
  data: string | undefined,
  { config, json, ...flags }: TrainFlags,
  signal: AbortSignal,
): Promise<void> {
  const file: JsonObject = config === undefined ? {} : await readJsonFile(config, { signal });
  const { resume, ...given } = flags;
  const {
    model: fileModel,
    data: fileData,
    ...rest
  }: JsonObject = { ...file, ...given, ...(resume === false ? { resume } : {}) };
  const progress = terminalProgress();
  const source = await modelOf(model ?? fileModel, signal, progress);
  const prepared = data ?? fileData;
  if (typeof prepared !== 'string')
    throw new UsageError('train: expected DATA, a directory of prepared data');
  try {
    const result = await train(source, prepared, {
      ...(rest as unknown as TrainOptions),
      signal,
      onEvent: (event) => tell(event, progress, json === true),
    });
    progress.clear();
    const validation =
      result.validationBitsPerByte === undefined
        ? ''
        : `, ${result.validationBitsPerByte.toFixed(4)} bits a byte on the validation split`;
    const text = json
      ? JSON.stringify(result, null, 2)
      : `${result.directory}: ${result.steps} steps, ${result.tokens} tokens${validation}; ${bytes(result.bytes)} of memory`;
    await print(`${text}\n`, signal);
  } finally {
    progress.clear();
  }
}

async function modelOf(
  model: unknown,
  signal: AbortSignal,
  progress: ReturnType<typeof terminalProgress>,
): Promise<string | NewModel> {
  if (typeof model === 'string') return await locateModel(model, signal, progress);
  if (typeof model === 'object' && model !== null) return model as NewModel;
  if (model === undefined) throw new UsageError('train: expected MODEL, a model directory');
  throw new InvalidArgumentError(
    'train: expected "model" of the configuration to be a directory or an object',
  );
}

/** A line that moves, and lines that stay for what is rare. */
function tell(event: TrainEvent, progress: ReturnType<typeof terminalProgress>, quiet: boolean): void {
  const say = (line: string): void => {
    progress.clear();
    if (!quiet) process.stderr.write(`${line}\n`);
  };
  switch (event.type) {
    case 'start':
      say(`${event.parameters} parameters on ${event.isa}, about ${bytes(event.memoryEstimate)} of memory`);
      break;
    case 'resume':
      say(`Going on after step ${event.step}, from ${event.directory}`);
      break;
    case 'evaluation':
      say(
        `Step ${event.step}: validation loss ${event.loss.toFixed(4)}, ${event.bitsPerByte.toFixed(4)} bits a byte`,
      );
      break;
    case 'checkpoint':
      say(`Step ${event.step}: checkpoint ${event.directory}`);
      break;
    case 'step':
      progress.update(
        `Step ${event.step}/${event.steps}  loss ${event.loss.toFixed(4)}  ${Math.round(event.tokensPerSecond)} tokens/s  ${timeLeft(event)} left`,
        event.step,
        event.steps,
      );
  }
}

/** At the speed of this step. */
function timeLeft({
  step,
  steps,
  tokens,
  tokensPerSecond,
}: Extract<TrainEvent, { readonly type: 'step' }>): string {
  const seconds = Math.round(((steps - step) * (tokens / step)) / tokensPerSecond);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  return hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? `${minutes} min` : `${seconds} s`;
}
