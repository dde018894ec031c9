import { InvalidArgumentError } from '../errors.js';
import type { StepEvent, TrainEvent, TrainOptions } from '../train/options.js';
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
  if (rest.output === undefined) throw new UsageError('train: expected --output, a directory to write to');
  if (rest.steps === undefined)
    throw new UsageError('train: expected --steps, the number of optimizer steps');
  try {
    const result = await train(source, prepared, {
      ...(rest as unknown as TrainOptions),
      signal,
      onEvent: narrator(progress),
    });
    progress.clear();
    const validation =
      result.validationBitsPerByte === undefined
        ? ''
        : `, ${result.validationBitsPerByte.toFixed(4)} bits a byte on the validation split`;
    const text = json
      ? JSON.stringify(result, null, 2)
      : `${result.directory}: ${result.steps} steps, ${result.tokens} tokens, loss ${result.loss.toFixed(4)}${validation}; ${bytes(result.bytes)} of memory`;
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

/** Milliseconds between two lines of steps where nothing can move. */
const lineEvery = 10_000;

/** Tells of events on stderr: a line that moves for steps (where stderr is no terminal, one now and then), lines that stay for the rest. */
function narrator(progress: ReturnType<typeof terminalProgress>): (event: TrainEvent) => void {
  let last = performance.now();
  const say = (line: string): void => {
    progress.clear();
    process.stderr.write(`${line}\n`);
  };
  return (event) => {
    if (event.type !== 'step') {
      say(lineOf(event));
      return;
    }
    const line = `Step ${event.step}/${event.steps}  loss ${event.loss.toFixed(4)}  ${Math.round(event.tokensPerSecond)} tokens/s  ${timeLeft(event)} left`;
    if (process.stderr.isTTY) progress.update(line, event.step, event.steps);
    else if (performance.now() - last > lineEvery) {
      last = performance.now();
      say(line);
    }
  };
}

function lineOf(event: Exclude<TrainEvent, StepEvent>): string {
  switch (event.type) {
    case 'start': {
      // Devices that do not plan memory cannot tell.
      const memory = Number.isNaN(event.memoryEstimate)
        ? ''
        : `, about ${bytes(event.memoryEstimate)} of memory`;
      return `${event.parameters} parameters on ${event.isa}${memory}`;
    }
    case 'resume':
      return `Going on after step ${event.step}, from ${event.directory}`;
    case 'evaluation':
      return `Step ${event.step}: validation loss ${event.loss.toFixed(4)}, ${event.bitsPerByte.toFixed(4)} bits a byte`;
    case 'checkpoint':
      return `Step ${event.step}: checkpoint ${event.directory}`;
  }
}

/** At the speed of this step. */
function timeLeft({ step, steps, tokens, tokensPerSecond }: StepEvent): string {
  const seconds = Math.round(((steps - step) * (tokens / step)) / tokensPerSecond);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  return hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? `${minutes} min` : `${seconds} s`;
}
