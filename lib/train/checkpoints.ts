import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ModelFormatError } from '../errors.js';
import { openCheckpoint } from '../weights/checkpoint.js';
import { isJsonObject, type JsonObject, readJsonFile, show } from '../weights/json_file.js';
import { makeDirectory } from '../weights/model_directory.js';
import { aliasedParams, paramOf, readParam } from '../weights/param_source.js';
import { readTensor } from '../weights/read_tensor.js';
import { replaceFile, writeFully } from '../weights/replace_file.js';
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
  /** What must be the same in the run that goes on: names to values. */
  readonly fixed: JsonObject;
}

const statesFile = 'optimizer.safetensors';
const stateFile = 'trainer.json';
const formatVersion = 1;
const named = /^step-(\d+)$/;

/**
 * The checkpoints of a run: `step-N/`, each a model directory with the optimizer's states and the run's. One appears whole or not at
 * all, as it is written under another name, flushed and renamed.
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

  /** Writes one and removes those that are too old. Returns its directory. */
  async save(model: TrainableModel, engine: TrainingEngine, state: TrainerState): Promise<string> {
    await makeDirectory(this.#root);
    await this.clean();
    const directory = join(this.#root, `step-${String(state.step).padStart(8, '0')}`);
    const temporary = `${directory}.tmp`;
    await mkdir(temporary);
    await saveModel(temporary, model, engine, (name) => name, undefined);
    await writeSafetensors(join(temporary, statesFile), statesOf(engine));
    await replaceFile(join(temporary, stateFile), (file) =>
      writeFully(
        file,
        Buffer.from(`${JSON.stringify({ format: formatVersion, ...state }, null, 2)}\n`),
        undefined,
      ),
    );
    await this.#replace(temporary, directory);
    const old = (await this.#steps()).slice(0, -this.#keep);
    for (const { directory: past } of old) await this.#discard(past);
    return directory;
  }

  async #replace(temporary: string, directory: string): Promise<void> {
    // A run that was resumed without its newest checkpoint comes to the same step again.
    await this.#discard(directory);
    await rename(temporary, directory);
    const root = await open(this.#root, 'r');
    await root.sync().finally(() => root.close());
  }

  /** Takes its name away first: what is half removed must not look whole. */
  async #discard(directory: string): Promise<void> {
    const doomed = `${directory}.old.tmp`;
    const moved = await rename(directory, doomed).then(
      () => true,
      () => false,
    );
    if (moved) await rm(doomed, { recursive: true, force: true });
  }

  /** Removes what a run that was killed left behind. */
  async clean(): Promise<void> {
    const names = await readdir(this.#root).catch((): string[] => []);
    for (const name of names)
      if (name.endsWith('.tmp')) await rm(join(this.#root, name), { recursive: true, force: true });
  }
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

/** Puts the numbers of a checkpoint into the engine and tells where it stands. Throws ModelFormatError if it is damaged or of another run. */
export async function restore(
  directory: string,
  model: TrainableModel,
  engine: TrainingEngine,
): Promise<TrainerState> {
  const path = join(directory, stateFile);
  const state = await readJsonFile(path, {});
  const { format, step, tokens, fixed } = state;
  if (
    format !== formatVersion ||
    !Number.isSafeInteger(step) ||
    !Number.isSafeInteger(tokens) ||
    !isJsonObject(fixed)
  )
    throw new ModelFormatError(
      `${path}: expected format ${formatVersion} with step, tokens and fixed, got ${show(state)}`,
    );
  const { tensors } = await openCheckpoint(directory);
  await loadWeights(engine, aliasedParams(tensors, model.family.layout), undefined);
  const states = (await openSafetensors(join(directory, statesFile))).tensors;
  for (const [name, shape] of engine.weights) {
    for (const key of Object.values(engine.statesOf(name))) {
      const info = states.get(key);
      if (info?.dtype !== 'f32' || info.shape.join() !== shape.join())
        throw new ModelFormatError(
          `${join(directory, statesFile)}: expected tensor ${show(key)}, f32 of shape ${show(shape)}, got ${info ? `${info.dtype} of shape ${show(info.shape)}` : 'none'}`,
        );
      await engine.write(key, Float32Array.from(await readTensor(info)));
    }
  }
  return { step: step as number, tokens: tokens as number, fixed };
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
