import { throwIfAborted, UnsupportedError } from '../errors.js';
import { availableMemory, type MemoryLimit } from '../exec/available_memory.js';
import type { CompileOptions, Executable } from '../exec/executor.js';
import { type DeviceOption, deviceNames, selectExecutor } from '../exec/select.js';
import { timeSlices } from '../exec/time_slices.js';
import { loadTokenizer, type Tokenizer } from '../tokenizers/tokenizer.js';
import { checkCall } from './check_call.js';
import { ModelRuntime } from './model_runtime.js';
import { checkSource, directoryOf } from './model_source.js';
import { openTextModel } from './open_text_model.js';
import { defaultLimits, Scheduler, type StepLimits } from './scheduler.js';
import { TextModel } from './text_model.js';
import { warnOfIgnored } from './warn_of_ignored.js';
import type { WeightsOption } from './weighted_graph.js';

export interface LoadOptions {
  /** Default `auto`: the first that works. A device that is named is used, or an error says why not. */
  readonly device?: DeviceOption | undefined;
  /** Default `stored`: as the checkpoint has them. */
  readonly weights?: WeightsOption | undefined;
  /** Default `f32`. */
  readonly kvCache?: 'f32' | 'bf16' | 'q8' | undefined;
  /** Threads that work for this model; default: physical cores within affinity and the container's quota. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called while weights are read: bytes so far and in all. */
  readonly onProgress?: ((progress: { readonly loaded: number; readonly total: number }) => void) | undefined;
}

/** What tests and measurements set besides. */
export interface LoadInternals {
  readonly limits?: StepLimits;
  /** Most bytes of KV cache. */
  readonly kvBytes?: number;
  /** Blocks of KV cache, instead of as many as memory has room for. */
  readonly kvBlocks?: number;
  /** Instead of the memory that is available. */
  readonly memory?: MemoryLimit;
}

/** Values of the options that have a choice. */
export const loadChoices: Readonly<Record<'device' | 'weights' | 'kvCache', readonly string[]>> = {
  device: deviceNames,
  weights: ['stored', 'f32', 'bf16', 'q8', 'q4', 'w8a8'],
  kvCache: ['f32', 'bf16', 'q8'],
};

const optionNames = ['device', 'weights', 'kvCache', 'threads', 'signal', 'onProgress'];

/**
 * Loads a causal language model: a Hugging Face directory, or `'hf:org/name[@revision]'` from the local cache or the Hub. Rejects with
 * ModelFormatError, UnsupportedError, InvalidArgumentError, DeviceUnavailableError, OutOfMemoryError, or AbortError.
 */
export const loadTextModel = (source?: string, options: LoadOptions = {}): Promise<TextModel> =>
  loadWith(source, options, {});

/** What a call without a source gets. */
export const noDefaultModel = (): UnsupportedError =>
  new UnsupportedError('loadTextModel: there is no built-in default model yet; name a model directory');

/** As {@link loadTextModel}, with what only tests and measurements set. */
export async function loadWith(
  source: string | undefined,
  options: LoadOptions,
  internals: LoadInternals,
): Promise<TextModel> {
  checkOptions(source, options);
  const { signal } = options;
  throwIfAborted(signal);
  const directory = await directoryOf(source, options);
  // First of all: its thread takes a while to start, and needs nothing of the rest.
  const loadingTokenizer = loadTokenizer(directory, signal ? { signal } : {});
  loadingTokenizer.catch(() => {}); // told where it is awaited
  try {
    return await loadDirectory(directory, loadingTokenizer, options, internals);
  } catch (error) {
    const tokenizer = await loadingTokenizer.catch(() => undefined);
    tokenizer?.dispose();
    throw error;
  }
}

async function loadDirectory(
  directory: string,
  loadingTokenizer: Promise<Tokenizer | undefined>,
  options: LoadOptions,
  internals: LoadInternals,
): Promise<TextModel> {
  const { signal, onProgress } = options;
  const pause = timeSlices();
  const { family, config, params, defaults, bosTokenId, ignoredFields } = await openTextModel(directory, {
    signal,
  });
  await pause();
  const { executor, fallbackReason } = selectExecutor(options);
  await pause();
  const { kvBytes, kvBlocks, limits = defaultLimits, memory = availableMemory() } = internals;
  const weights = options.weights ?? 'stored';
  const runtime = new ModelRuntime({ executor, family, config, params, weights, kvBytes, kvBlocks, memory });
  try {
    const [{ sampler, copier }, tokenizer] = await Promise.all([
      compile(runtime, { signal, onProgress: (loaded, total) => onProgress?.({ loaded, total }) }),
      loadingTokenizer,
    ]);
    throwIfAborted(signal);
    warnOfIgnored(directory, ignoredFields, runtime.unusedTensors);
    const { rope, unbounded, contextLength, vocabSize } = config;
    return new TextModel({
      runtime,
      scheduler: new Scheduler({ pool: runtime.pool, rope, sampler, copier, limits }),
      tokenizer,
      defaults,
      bosTokenId,
      rope,
      unbounded,
      info: {
        family: family.name,
        parameters: runtime.parameters,
        device: executor.device,
        isa: executor.isa,
        weights: runtime.weights,
        contextLength,
        vocabSize,
        ignoredFields,
        ...(fallbackReason === undefined ? {} : { fallbackReason }),
      },
    });
  } catch (error) {
    await runtime.session.dispose();
    throw error;
  }
}

/** The graphs that every request needs: one after the other, as a session does one thing at a time. */
async function compile(
  runtime: ModelRuntime,
  options: CompileOptions,
): Promise<{ sampler: Executable; copier: Executable }> {
  const sampler = await runtime.executable('sample', options);
  return { sampler, copier: await runtime.executable('copy') };
}

function checkOptions(source: unknown, options: LoadOptions): asserts source is string {
  if (source === undefined) throw noDefaultModel();
  checkSource('loadTextModel', source);
  checkCall('loadTextModel', options, { names: optionNames, choices: loadChoices });
  if (options.kvCache !== undefined && options.kvCache !== 'f32')
    throw new UnsupportedError(`kvCache: "${options.kvCache}" is not built yet; use "f32"`);
}
