import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { storageError } from '../data/storage_error.js';
import { InvalidArgumentError, ModelFormatError, OutOfMemoryError, TrigaError } from '../errors.js';
import { openCheckpoint, weightsFile } from '../weights/checkpoint.js';
import { errorCode } from '../weights/file_io.js';
import { isJsonObject, type JsonObject, readJsonFile, show } from '../weights/json_file.js';
import { makeDirectory } from '../weights/model_directory.js';
import { aliasedParams, paramOf, readParam } from '../weights/param_source.js';
import { readTensor } from '../weights/read_tensor.js';
import { replaceFile, syncDirectory, writeFully } from '../weights/replace_file.js';
import { openSafetensors } from '../weights/safetensors.js';
import { type TensorSource, writeSafetensors } from '../weights/write_safetensors.js';
import type { TrainingEngine } from './engine.js';
import { saveModel } from './save_model.js';
import type { TrainableModel } from './trainable_model.js';

/** Where a run stands, beside the numbers of its states. */
export interface TrainerState {
  /** Steps done. */
  readonly step: number;
  /** Labels learned from. */
  readonly tokens: number;
  /** What must be the same in the run that goes on, as far as its checkpoint tells: names to values. */
  readonly fixed: JsonObject;
}

const statesFile = 'optimizer.safetensors';
const stateFile = 'trainer.json';
/** Files that are large, and whose sums are kept. */
const summed = [weightsFile, statesFile];
const formatVersion = 1;
const named = /^step-(\d+)$/;

/**
 * The checkpoints of a run: `step-N/`, each a model directory with the optimizer's states and the run's. One appears whole or not at
 * all, as it is written under another name, flushed and renamed. Each knows the SHA-256 of its large files.
 */
export class Checkpoints {
  readonly #root: string;
  readonly #keep: number;

  constructor(root: string, keep: number) {
    this.#root = root;
    this.#keep = keep;
  }

  /** Directories of whole checkpoints, oldest first. */
  async #steps(): Promise<{ readonly step: number; readonly directory: string }[]> {
    const names = await readdir(this.#root).catch((): string[] => []);
    return names
      .flatMap((name) => {
        const step = named.exec(name)?.[1];
        return step === undefined ? [] : [{ step: Number(step), directory: join(this.#root, name) }];
      })
      .sort((a, b) => a.step - b.step);
  }

  /** Directory of the newest one; undefined: there is none. */
  async newest(): Promise<string | undefined> {
    return (await this.#steps()).at(-1)?.directory;
  }

  /**
   * Writes one and removes those that are too old. Returns its directory. On failure nothing of it is left; a full disk is an
   * OutOfMemoryError.
   */
  async save(model: TrainableModel, engine: TrainingEngine, state: TrainerState): Promise<string> {
    const directory = join(this.#root, `step-${String(state.step).padStart(8, '0')}`);
    const temporary = `${directory}.tmp`;
    try {
      await makeDirectory(this.#root);
      await this.clean();
      await mkdir(temporary);
      await saveModel(temporary, model, engine, (name) => name);
      await writeSafetensors(join(temporary, statesFile), statesOf(engine));
      await writeState(temporary, state);
      await flush(temporary);
      await rename(temporary, directory);
      await syncDirectory(this.#root);
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      throw storageError(directory, error);
    }
    for (const old of (await this.#steps()).slice(0, -this.#keep)) await discard(old.directory);
    return directory;
  }

  /** Removes the newest one if there is another. Returns the step of the one that is the newest then, 0 if there is none. */
  async discardNewest(): Promise<number> {
    const steps = await this.#steps();
    const [before, newest] = [steps.at(-2), steps.at(-1)];
    if (before && newest) await discard(newest.directory);
    return (before ?? newest)?.step ?? 0;
  }

  /** Removes all, newest last: a run that is ended meanwhile leaves one to go on from. */
  async discardAll(): Promise<void> {
    for (const { directory } of await this.#steps()) await discard(directory);
  }

  /** Removes what a run that was killed left behind. */
  async clean(): Promise<void> {
    const names = await readdir(this.#root).catch((): string[] => []);
    for (const name of names)
      if (name.endsWith('.tmp')) await rm(join(this.#root, name), { recursive: true, force: true });
  }
}

/** Waits until the files of a directory are on the disk. */
async function flush(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const file = await open(join(directory, name), 'r');
    // Windows flushes nothing that is open for reading: then it is the system's job.
    await file.sync().catch(() => undefined);
    await file.close();
  }
  await syncDirectory(directory);
}

/** Takes its name away first: what is half removed must not look whole. */
async function discard(directory: string): Promise<void> {
  const doomed = `${directory}.old.tmp`;
  await rename(directory, doomed);
  await rm(doomed, { recursive: true, force: true });
}

async function writeState(directory: string, state: TrainerState): Promise<void> {
  const sha256 = Object.fromEntries(
    await Promise.all(summed.map(async (file) => [file, await sha256Of(join(directory, file))] as const)),
  );
  const json = { format: formatVersion, ...state, sha256 };
  await replaceFile(join(directory, stateFile), (file) =>
    writeFully(file, Buffer.from(`${JSON.stringify(json, null, 2)}\n`), undefined),
  );
}

/** SHA-256 of a file, in hexadecimal. */
async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function statesOf(engine: TrainingEngine): TensorSource[] {
  return [...engine.weights].flatMap(([name, shape]) =>
    Object.values(engine.statesOf(name)).map((state) => ({
      name: state,
      dtype: 'f32' as const,
      shape,
      data: () =>
        engine.read(
          state,
          shape.reduce((n, d) => n * d, 1),
        ),
    })),
  );
}

/** Where the run of a checkpoint stood. Throws ModelFormatError if the checkpoint is damaged, with the remedy. */
export async function readState(directory: string): Promise<TrainerState> {
  return await withRemedy(directory, async () => {
    const path = join(directory, stateFile);
    const state = await readJsonFile(path);
    // The first checkpoints of this format had no sums.
    const { format, step, tokens, fixed, sha256 = {} } = state;
    if (
      format !== formatVersion ||
      !Number.isSafeInteger(step) ||
      !Number.isSafeInteger(tokens) ||
      !isJsonObject(fixed) ||
      !isJsonObject(sha256)
    )
      throw new ModelFormatError(
        `${path}: expected format ${formatVersion} with step, tokens and fixed, got ${show(state)}`,
      );
    for (const [file, want] of Object.entries(sha256)) {
      const got = await sha256Of(join(directory, file));
      if (got !== want)
        throw new ModelFormatError(
          `${join(directory, file)}: expected SHA-256 ${show(want)}, got ${got}: the file was changed or cut short`,
        );
    }
    return { step: step as number, tokens: tokens as number, fixed };
  });
}

/** Throws InvalidArgumentError if a checkpoint is of another run, or of more steps than are wanted. */
export function checkGoesOn(
  directory: string,
  { step, fixed }: TrainerState,
  wanted: { readonly fixed: JsonObject; readonly steps: number },
): void {
  const remedy = 'train to another output, or with resume: false';
  for (const [name, value] of Object.entries(wanted.fixed))
    if (name in fixed && JSON.stringify(fixed[name]) !== JSON.stringify(value))
      throw new InvalidArgumentError(
        `train: ${directory}: expected the ${name} that this run has, got another; ${remedy}`,
      );
  if (step > wanted.steps)
    throw new InvalidArgumentError(
      `train: ${directory}: expected steps of at least ${step}, which are done, got ${wanted.steps}; ${remedy}`,
    );
}

/** Puts the numbers of a checkpoint into the engine. Throws ModelFormatError if they are not those of the model, with the remedy. */
export async function restore(
  directory: string,
  model: TrainableModel,
  engine: TrainingEngine,
): Promise<void> {
  await withRemedy(directory, async () => {
    const { tensors } = await openCheckpoint(directory);
    await loadWeights(engine, aliasedParams(tensors, model.family.layout), undefined);
    const path = join(directory, statesFile);
    const states = (await openSafetensors(path)).tensors;
    for (const [name, shape] of engine.weights)
      for (const key of Object.values(engine.statesOf(name))) {
        const info = states.get(key);
        if (info?.dtype !== 'f32' || info.shape.join() !== shape.join())
          throw new ModelFormatError(
            `${path}: expected tensor ${show(key)}, f32 of shape ${show(shape)}, got ${info ? `${info.dtype} of shape ${show(info.shape)}` : 'none'}`,
          );
        await engine.write(key, Float32Array.from(await readTensor(info)));
      }
  });
}

/** A checkpoint that cannot be read is damaged, whatever came to light first. */
async function withRemedy<T>(directory: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    const ours = cause instanceof TrigaError && !(cause instanceof OutOfMemoryError);
    if (!ours && errorCode(cause) === undefined) throw cause;
    throw new ModelFormatError(
      `${(cause as Error).message}; remove ${directory}, so that the run goes on from the checkpoint before it`,
      { cause },
    );
  }
}

/** Puts a checkpoint's weights into the engine. */
export async function loadWeights(
  engine: TrainingEngine,
  params: Parameters<typeof paramOf>[0],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const name of engine.weights.keys())
    await engine.write(name, Float32Array.from(await readParam(paramOf(params, name), { signal })));
}
