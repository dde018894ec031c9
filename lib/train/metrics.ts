import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { storageError } from '../data/storage_error.js';
import { replaceFile, writeFully } from '../weights/replace_file.js';
import { lossCurve } from './loss_curve.js';
import type { StepEvent, TrainEvent } from './options.js';

type Evaluation = Extract<TrainEvent, { readonly type: 'evaluation' }>;
type Line = Omit<StepEvent, 'steps'> | Evaluation;

/** Lines that are written at once: a disk is not to be asked at each step. */
const linesAtOnce = 20;

/** `metrics.jsonl`, a JSON object a line for each step and evaluation, and the loss curve drawn from it. A full disk is an OutOfMemoryError. */
export class Metrics {
  readonly #path: string;
  readonly #curve: string;
  #lines: Line[] = [];
  #waiting: Line[] = [];

  constructor(directory: string) {
    this.#path = join(directory, 'metrics.jsonl');
    this.#curve = join(directory, 'loss.svg');
  }

  /** Takes up the lines of a run up to `step`; later ones, and one that was cut off, belong to steps that are done again. */
  async open(step: number): Promise<void> {
    const text = step > 0 ? await readFile(this.#path, 'utf8').catch(() => '') : '';
    this.#lines = text.split('\n').flatMap((line) => {
      const parsed = parse(line);
      return parsed && parsed.step <= step ? [parsed] : [];
    });
    const kept = this.#lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    await this.#replace(this.#path, kept);
  }

  /** The newest line of a kind. */
  last<T extends Line['type']>(type: T): Extract<Line, { readonly type: T }> | undefined {
    return this.#of(type).at(-1);
  }

  #of<T extends Line['type']>(type: T): Extract<Line, { readonly type: T }>[] {
    return this.#lines.filter((line): line is Extract<Line, { readonly type: T }> => line.type === type);
  }

  async add(line: Line): Promise<void> {
    this.#lines.push(line);
    this.#waiting.push(line);
    if (this.#waiting.length >= linesAtOnce) await this.#flush();
  }

  /** Writes what waits, and draws the curve. */
  async save(): Promise<void> {
    await this.#flush();
    const svg = lossCurve([
      { name: 'training', points: this.#of('step').map(({ step, loss }) => [step, loss] as const) },
      { name: 'validation', points: this.#of('evaluation').map(({ step, loss }) => [step, loss] as const) },
    ]);
    await this.#replace(this.#curve, svg);
  }

  async #replace(path: string, text: string): Promise<void> {
    try {
      await replaceFile(path, (file) => writeFully(file, Buffer.from(text), undefined));
    } catch (error) {
      throw storageError(path, error);
    }
  }

  async #flush(): Promise<void> {
    const text = this.#waiting.map((line) => `${JSON.stringify(line)}\n`).join('');
    this.#waiting = [];
    if (text === '') return;
    await appendFile(this.#path, text).catch((error: unknown) => {
      throw storageError(this.#path, error);
    });
  }
}

function parse(line: string): Line | undefined {
  try {
    const value = JSON.parse(line) as Line;
    const known = value.type === 'step' || value.type === 'evaluation';
    return known && typeof value.step === 'number' ? value : undefined;
  } catch {
    return undefined;
  }
}
