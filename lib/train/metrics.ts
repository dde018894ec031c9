import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile, writeFully } from '../weights/replace_file.js';
import { lossCurve } from './loss_curve.js';
import type { StepEvent, TrainEvent } from './options.js';

type Evaluation = Extract<TrainEvent, { readonly type: 'evaluation' }>;
type Line = Omit<StepEvent, 'steps'> | Evaluation;

/** Lines that are written at once: a disk is not to be asked at each step. */
const linesAtOnce = 20;

/** `metrics.jsonl`, a JSON object a line for each step and evaluation, and the loss curve drawn from it. */
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
    await replaceFile(this.#path, (file) => writeFully(file, Buffer.from(kept), undefined));
  }

  async add(line: Line): Promise<void> {
    this.#lines.push(line);
    this.#waiting.push(line);
    if (this.#waiting.length >= linesAtOnce) await this.#flush();
  }

  /** Writes what waits, and draws the curve. */
  async save(): Promise<void> {
    await this.#flush();
    const of = <T extends Line['type']>(type: T) =>
      this.#lines.filter((line): line is Extract<Line, { readonly type: T }> => line.type === type);
    const svg = lossCurve([
      { name: 'training', points: of('step').map(({ step, loss }) => [step, loss] as const) },
      { name: 'validation', points: of('evaluation').map(({ step, loss }) => [step, loss] as const) },
    ]);
    await replaceFile(this.#curve, (file) => writeFully(file, Buffer.from(svg), undefined));
  }

  async #flush(): Promise<void> {
    const text = this.#waiting.map((line) => `${JSON.stringify(line)}\n`).join('');
    this.#waiting = [];
    if (text !== '') await appendFile(this.#path, text);
  }
}

function parse(line: string): Line | undefined {
  try {
    const value = JSON.parse(line) as Line;
    return typeof value.step === 'number' ? value : undefined;
  } catch {
    return undefined;
  }
}
