import { ModelFormatError, throwIfAborted, UnsupportedError } from '../errors.js';
import { availableMemory, type MemoryLimit } from '../exec/available_memory.js';
import type { CompileOptions, Executable } from '../exec/executor.js';
import { type DeviceOption, deviceNames, selectExecutor } from '../exec/select.js';
import { timeSlices } from '../exec/time_slices.js';
import type { ModelKind } from '../models/registry.js';
import { loadTokenizer, type Tokenizer } from '../tokenizers/tokenizer.js';
import { checkCall } from './check_call.js';
import { ModelRuntime } from './model_runtime.js';
import { checkSource, defaultModel, directoryOf } from './model_source.js';
import { openModel } from './open_text_model.js';
import { defaultLimits, Scheduler, type StepLimits } from './scheduler.js';
import { Seq2SeqModel } from './seq2seq_model.js';
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
 * Loads a causal language model: a Hugging Face directory, or `'hf:org/name[@revision]'` from the local cache or the Hub; left out, the
 * built-in model. Rejects with
 * ModelFormatError, UnsupportedError, InvalidArgumentError, DeviceUnavailableError, OutOfMemoryError, or AbortError.
 */
export const loadTextModel = (source?: string, options: LoadOptions = {}): Promise<TextModel> =>
  loadWith(source, options, {});

/** As {@link loadTextModel}, with what only tests and measurements set. */
export const loadWith = async (
  source: string | undefined,
  options: LoadOptions,
  internals: LoadInternals,
): Promise<TextModel> =>
  (await loadKind({ where: 'loadTextModel', kind: 'text' }, source, options, internals)) as TextModel;

/**
 * Loads a model with or without an encoder: whichever `kind` says, or else what its configuration says. `where` is the function that
 * messages name. Rejects as {@link loadTextModel} does.
 */
export async function loadKind(
  { where, kind }: { readonly where: string; readonly kind?: ModelKind },
  given: string | undefined,
  options: LoadOptions,
  internals: LoadInternals = {},
): Promise<TextModel | Seq2SeqModel> {
  const source = given ?? (kind === 'seq2seq' ? undefined : defaultModel);
  checkOptions(where, source, options);
  const { signal } = options;
  throwIfAborted(signal);
  const directory = await directoryOf(source, options);
  // First of all: its thread takes a while to start, and needs nothing of the rest.
  const loadingTokenizer = loadTokenizer(directory, signal ? { signal } : {});
  loadingTokenizer.catch(() => {}); // told where it is awaited
  try {
    return await loadDirectory(directory, kind, loadingTokenizer, options, internals);
  } catch (error) {
    const tokenizer = await loadingTokenizer.catch(() => undefined);
    tokenizer?.dispose();
    throw error;
  }
}

async function loadDirectory(
  directory: string,
  kind: ModelKind | undefined,
  loadingTokenizer: Promise<Tokenizer | undefined>,
  options: LoadOptions,
  internals: LoadInternals,
): Promise<TextModel | Seq2SeqModel> {
  const { signal, onProgress } = options;
  const pause = timeSlices();
  const opened = await openModel(directory, { signal, kind });
  const { family, config, params, defaults, bosTokenId, startTokenId, ignoredFields } = opened;
  await pause();
  const { executor, fallbackReason } = selectExecutor(options);
  await pause();
  const { kvBytes, kvBlocks, limits = defaultLimits, memory = availableMemory() } = internals;
  const weights = options.weights ?? 'stored';
  const runtime = new ModelRuntime({ executor, family, config, params, weights, kvBytes, kvBlocks, memory });
  try {
    const [{ sampler, copier, encoder }, tokenizer] = await Promise.all([
      compile(runtime, family.encode !== undefined, {
        signal,
        onProgress: (loaded, total) => onProgress?.({ loaded, total }),
      }),
      loadingTokenizer,
    ]);
    throwIfAborted(signal);
    if (tokenizer) checkVocabulary(directory, tokenizer, startTokenId);
    warnOfIgnored(directory, ignoredFields, runtime.unusedTensors);
    const { rope, unbounded, contextLength, sourceLength, vocabSize } = config;
    const Model = family.encode ? Seq2SeqModel : TextModel;
    return new Model({
      runtime,
      scheduler: new Scheduler({ pool: runtime.pool, rope, sampler, encoder, copier, limits }),
      tokenizer,
      defaults,
      bosTokenId,
      startTokenId,
      sourceLength,
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
  encodes: boolean,
  options: CompileOptions,
): Promise<{ sampler: Executable; copier: Executable; encoder: Executable | undefined }> {
  const sampler = await runtime.executable('sample', options);
  const encoder = encodes ? await runtime.executable('encode', options) : undefined;
  return { sampler, copier: await runtime.executable('copy'), encoder };
}

/** Throws ModelFormatError if the tokenizer lacks the id that every text of an encoder-decoder begins with. */
function checkVocabulary(directory: string, { vocabSize }: Tokenizer, start: number | undefined): void {
  if (start === undefined || start < vocabSize) return;
  throw new ModelFormatError(
    `${directory}: tokenizer.json: expected id ${start}, the decoder_start_token_id, among its ids, got 0 to ${vocabSize - 1}; ` +
      'take the tokenizer that the model was trained with',
  );
}

function checkOptions(where: string, source: unknown, options: LoadOptions): asserts source is string {
  checkSource(where, source);
  checkCall(where, options, { names: optionNames, choices: loadChoices });
  if (options.kvCache !== undefined && options.kvCache !== 'f32')
    throw new UnsupportedError(`kvCache: "${options.kvCache}" is not built yet; use "f32"`);
}
