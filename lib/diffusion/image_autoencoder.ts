import { InvalidArgumentError, throwIfAborted } from '../errors.js';
import { availableMemory } from '../exec/available_memory.js';
import type { Executable, Session } from '../exec/executor.js';
import { orAborted } from '../exec/or_aborted.js';
import { checkCall } from '../generate/check_call.js';
import { checkRoom, memoryNeeds } from '../generate/memory_needs.js';
import { disposedError, type ModelInfo } from '../generate/text_model.js';
import type { ImageConfig } from '../models/image_family.js';
import { elementCount, type Tensor } from '../tensor.js';
import type { ImageGraphs } from './image_graph.js';

/** What a loaded image autoencoder is. */
export interface ImageModelInfo extends Omit<ModelInfo, 'contextLength' | 'vocabSize'> {
  readonly latentChannels: number;
  /** Pixels a side of a picture for each latent that it becomes. */
  readonly scale: number;
}

export interface ImageCallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Parts that an {@link ImageAutoencoder} is made of. */
export interface ImageAutoencoderParts {
  readonly config: ImageConfig;
  readonly info: Omit<ImageModelInfo, 'bytes' | 'latentChannels' | 'scale'>;
  readonly graphs: ImageGraphs;
  readonly executables: Readonly<Record<'encode' | 'decode', Executable>>;
  readonly session: Session;
}

/** Makes latents of pictures and pictures of latents. Calls may overlap: pictures take turns. */
export class ImageAutoencoder {
  readonly #parts: ImageAutoencoderParts;
  /** Calls under way. */
  readonly #live = new Set<AbortController>();
  /** The run that is last in line. */
  #last: Promise<void> = Promise.resolve();
  #disposal: Promise<void> | undefined;

  constructor(parts: ImageAutoencoderParts) {
    this.#parts = parts;
  }

  get info(): ImageModelInfo {
    const { info, config, session } = this.#parts;
    const { latentChannels, encoderScale: scale } = config;
    return { ...info, latentChannels, scale, bytes: session.bytes };
  }

  /**
   * Latents, as the network gives them, of pictures f32 [N, 3, H, W] in [−1, 1] → f32 [N, L, H / scale, W / scale]. Rejects with
   * InvalidArgumentError for another shape or sides that are no multiples of `info.scale`, OutOfMemoryError, or AbortError.
   */
  encode(images: Tensor, options: ImageCallOptions = {}): Promise<Tensor> {
    const { inChannels: channels, encoderScale } = this.#parts.config;
    return this.#call('encode', images, { name: 'images', channels, multiple: encoderScale }, options);
  }

  /**
   * Pictures, about in [−1, 1] and not clamped, of latents f32 [N, L, H, W] → f32 [N, 3, scale·H, scale·W]. Rejects with
   * InvalidArgumentError for another shape, OutOfMemoryError, or AbortError.
   */
  decode(latents: Tensor, options: ImageCallOptions = {}): Promise<Tensor> {
    const { latentChannels: channels } = this.#parts.config;
    return this.#call('decode', latents, { name: 'latents', channels, multiple: 1 }, options);
  }

  async #call(
    kind: 'encode' | 'decode',
    given: Tensor,
    expected: Expected,
    options: ImageCallOptions,
  ): Promise<Tensor> {
    if (this.#disposal) throw disposedError();
    checkCall(kind, options, { names: ['signal'], choices: {} });
    const { data, shape } = checkTensor(kind, given, expected);
    const [n, , height, width] = shape;
    throwIfAborted(options.signal);
    const bindings = { H: height / expected.multiple, W: width / expected.multiple };
    this.#checkMemory(kind, bindings);
    // The caller may go on with its numbers before their turn comes.
    const size = data.length / n;
    const images = Array.from({ length: n }, (_, i) => data.slice(i * size, (i + 1) * size));
    const abort = new AbortController();
    // Listeners go to a signal of this call's own: many calls may share the caller's.
    const signal = options.signal ? AbortSignal.any([abort.signal, options.signal]) : abort.signal;
    this.#live.add(abort);
    try {
      const results: Tensor[] = [];
      for (const x of images) results.push(await this.#inTurn(kind, x, bindings, signal));
      return joined(results);
    } catch (error) {
      throw this.#disposal ? disposedError() : error;
    } finally {
      this.#live.delete(abort);
    }
  }

  /** Runs one picture when those before it are done. */
  async #inTurn(
    kind: 'encode' | 'decode',
    x: Float32Array,
    bindings: Readonly<Record<'H' | 'W', number>>,
    signal: AbortSignal,
  ): Promise<Tensor> {
    const executable = this.#parts.executables[kind];
    const run = this.#last.then(async () => {
      throwIfAborted(signal);
      return await executable.run({ inputs: { x }, bindings, signal });
    });
    const over = (): void => {};
    this.#last = run.then(over, over);
    return (await orAborted(run, signal)).y as Tensor;
  }

  #checkMemory(kind: 'encode' | 'decode', sides: Readonly<Record<string, number>>): void {
    const { graphs, info } = this.#parts;
    const bytes = memoryNeeds([graphs[kind]], info.device, (s) => sides[s] ?? 1).workspace;
    checkRoom(kind, { bytes, purpose: 'to compute in', remedy: 'take smaller pictures' }, availableMemory());
  }

  /** Ends what runs and frees all memory. Idempotent. Pending and later calls reject with InvalidArgumentError. */
  dispose(): Promise<void> {
    this.#disposal ??= this.#dispose();
    return this.#disposal;
  }

  async #dispose(): Promise<void> {
    // The field that says so is set before anything that waits hears of it.
    await Promise.resolve();
    for (const call of this.#live) call.abort();
    await this.#last;
    await this.#parts.session.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

interface Expected {
  readonly name: string;
  readonly channels: number;
  readonly multiple: number;
}

interface Pictures {
  readonly data: Float32Array;
  readonly shape: readonly [number, number, number, number];
}

/** Throws InvalidArgumentError unless `given` is f32 [N, channels, H, W] with sides that are multiples of `multiple`. */
function checkTensor(where: string, given: Tensor, { name, channels, multiple }: Expected): Pictures {
  const wrong = (got: string, remedy = ''): InvalidArgumentError =>
    new InvalidArgumentError(
      `${where}: expected ${name} as a tensor f32 [N, ${channels}, H, W], got ${got}${remedy}`,
    );
  if (typeof given !== 'object' || given === null || !Array.isArray(given.shape))
    throw wrong(given === null ? 'null' : typeof given, '; give { dtype, shape, data }');
  const { dtype, shape, data } = given;
  const told = `${String(dtype)} [${shape.join(', ')}]`;
  if (dtype !== 'f32' || !(data instanceof Float32Array))
    throw wrong(told, '; give its numbers as a Float32Array');
  const fits = shape.length === 4 && shape.every((d) => Number.isSafeInteger(d) && d >= 1);
  if (!fits || shape[1] !== channels) throw wrong(told);
  if (data.length !== elementCount(shape)) throw wrong(`${told} with ${data.length} numbers`);
  const [, , height = 0, width = 0] = shape;
  if (height % multiple !== 0 || width % multiple !== 0) {
    const near = [height, width].map((side) => Math.max(1, Math.round(side / multiple)) * multiple);
    throw new InvalidArgumentError(
      `${where}: expected ${name} with a height and width that are multiples of ${multiple}, got ${height} × ${width}; ` +
        `crop, pad or scale them, to ${near.join(' × ')} say`,
    );
  }
  return { data, shape: shape as unknown as Pictures['shape'] };
}

/** Pictures one after the other. */
function joined(pictures: readonly Tensor[]): Tensor {
  const [first] = pictures as readonly [Tensor, ...Tensor[]];
  const size = first.data.length;
  const data = new Float32Array(pictures.length * size);
  pictures.forEach((picture, i) => {
    data.set(picture.data, i * size);
  });
  return { dtype: 'f32', shape: [pictures.length, ...first.shape.slice(1)], data };
}
