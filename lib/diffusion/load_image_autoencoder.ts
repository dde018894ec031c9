import { ModelFormatError, throwIfAborted, UnsupportedError } from '../errors.js';
import { availableMemory } from '../exec/available_memory.js';
import type { Executable } from '../exec/executor.js';
import { selectExecutor } from '../exec/select.js';
import { checkCall } from '../generate/check_call.js';
import { type LoadOptions, loadChoices } from '../generate/load_text_model.js';
import { checkRoom, memoryNeeds } from '../generate/memory_needs.js';
import { checkSource, directoryOf } from '../generate/model_source.js';
import { warnOfIgnored } from '../generate/warn_of_ignored.js';
import type { Graph } from '../ir/graph.js';
import { imageFamilyOf } from '../models/registry.js';
import { elementCount } from '../tensor.js';
import { openCheckpoint } from '../weights/checkpoint.js';
import { checkBaseFields, configReader } from '../weights/config.js';
import {
  aliasedParams,
  checkParams,
  type ParamInfo,
  type ParamSource,
  storedBytes,
} from '../weights/param_source.js';
import { ImageAutoencoder } from './image_autoencoder.js';
import { buildImageGraphs, sides } from './image_graph.js';

/** As for a text model, without what pictures have not. */
export type LoadImageOptions = Omit<LoadOptions, 'kvCache'>;

const optionNames = ['device', 'weights', 'threads', 'signal', 'onProgress'];

/**
 * Loads an image autoencoder: a directory of diffusers, or `'hf:org/name[@revision]'` from the local cache or the Hub. Rejects with
 * ModelFormatError, UnsupportedError, InvalidArgumentError, DeviceUnavailableError, OutOfMemoryError, or AbortError.
 */
export async function loadImageAutoencoder(
  source: string,
  options: LoadImageOptions = {},
): Promise<ImageAutoencoder> {
  checkSource('loadImageAutoencoder', source);
  checkCall('loadImageAutoencoder', options, { names: optionNames, choices: loadChoices });
  const { signal, onProgress, weights = 'stored' } = options;
  if (weights !== 'stored' && weights !== 'f32')
    throw new UnsupportedError(
      `weights: "${weights}" is not built yet for pictures; use "stored" or "f32", which both compute with f32`,
    );
  throwIfAborted(signal);
  const directory = await directoryOf(source, options);
  const checkpoint = await openCheckpoint(directory, { signal });
  const reader = configReader(checkpoint.config, 'config.json');
  const family = imageFamilyOf(reader);
  checkBaseFields(reader);
  const config = family.readConfig(reader);
  const graphs = buildImageGraphs(family, config);
  const params = aliasedParams(checkpoint.tensors);
  const parameters = checkTensors(directory, Object.values(graphs), params);
  const { executor, fallbackReason } = selectExecutor(options);
  checkWeights(Object.values(graphs), executor.device);
  const session = executor.open(params);
  try {
    const total = checkpoint.bytes;
    const compile = (graph: Graph, before: number): Promise<Executable> =>
      session.compile(graph, {
        signal,
        sides,
        onProgress: (loaded) => onProgress?.({ loaded: before + loaded, total }),
      });
    // One after the other, as a session does one thing at a time.
    const encode = await compile(graphs.encode, 0);
    const decode = await compile(graphs.decode, storedBytesOf(graphs.encode, params));
    throwIfAborted(signal);
    const ignoredFields = reader.ignored();
    warnOfIgnored(directory, ignoredFields);
    const { device, isa } = executor;
    const info = { family: family.name, parameters, device, isa, weights: 'f32', ignoredFields };
    return new ImageAutoencoder({
      config,
      graphs,
      executables: { encode, decode },
      session,
      info: { ...info, ...(fallbackReason === undefined ? {} : { fallbackReason }) },
    });
  } catch (error) {
    await session.dispose();
    throw error;
  }
}

/** Compares the tensors with what the graphs need; the number of parameters. Throws ModelFormatError. */
function checkTensors(directory: string, graphs: readonly Graph[], params: ParamSource): number {
  const needed = new Map(
    graphs.flatMap((graph) => [...graph.params].map(([name, v]) => [name, { shape: v.shape as number[] }])),
  );
  const unused = checkParams(needed, params);
  // They are parts of a network that this one is not: its pictures would be wrong.
  if (unused.length > 0)
    throw new ModelFormatError(
      `${directory}: expected a tensor for every part that config.json names and no other, got ${unused.length} more: ` +
        `${unused.slice(0, 5).join(', ')}; is a field missing (use_midblock_gn)?`,
    );
  return [...needed.values()].reduce((n, { shape }) => n + elementCount(shape), 0);
}

const storedBytesOf = (graph: Graph, params: ParamSource): number =>
  [...graph.params.keys()].reduce((n, name) => n + storedBytes(params.get(name) as ParamInfo), 0);

/** Throws OutOfMemoryError if the weights do not fit, so that none is read in vain. */
function checkWeights(graphs: readonly Graph[], device: string): void {
  const bytes = memoryNeeds(graphs, device).weights;
  checkRoom('model', { bytes, purpose: 'of weights', remedy: 'take a smaller model' }, availableMemory());
}
