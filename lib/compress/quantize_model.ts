import { join } from 'node:path';
import { q8Scales } from '../dtype.js';
import { InvalidArgumentError, throwIfAborted } from '../errors.js';
import { checkCall } from '../generate/check_call.js';
import { openTextModel } from '../generate/open_text_model.js';
import { weightedGraph } from '../generate/weighted_graph.js';
import { weightsFile } from '../weights/checkpoint.js';
import {
  checkPaths,
  copySideFiles,
  isSameDirectory,
  localDirectory,
  makeDirectory,
  writeConfig,
} from '../weights/model_directory.js';
import { checkParams, type ParamInfo, paramShape, storedBytes } from '../weights/param_source.js';
import { q8Config, scaleName } from '../weights/q8_checkpoint.js';
import { readTensorTyped } from '../weights/read_tensor.js';
import { type TensorSource, writeSafetensors } from '../weights/write_safetensors.js';
import { q8Bytes, q8ScaleBits } from './quantize_rows.js';

export interface QuantizeOptions {
  /** Default `q8`: int8 with one f16 scale for each 32 numbers of a row, ggml's Q8_0. */
  readonly weights?: 'q8' | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called while weights are written: bytes so far and in all. */
  readonly onProgress?: ((progress: { readonly loaded: number; readonly total: number }) => void) | undefined;
}

export interface QuantizeResult {
  readonly directory: string;
  /** Names of the files in it. */
  readonly files: readonly string[];
  /** Matrices that were quantized. */
  readonly matrices: number;
  /** Size of the weights that the model uses, before and after. */
  readonly bytesBefore: number;
  readonly bytes: number;
}

const known = { names: ['weights', 'signal', 'onProgress'], choices: { weights: ['q8'] } };

/**
 * Writes a causal language model with the weights of its linears, and of the embedding that a tied output layer shares, quantized:
 * `model.safetensors`, `config.json` with a `quantization_config`, and the tokenizer's files. `loadTextModel` runs it as stored, with
 * the bits that `weights: 'q8'` gives for the original. Weights pass through one matrix at a time. Rejects with ModelFormatError
 * (a weight that is not finite, or beyond 8,319,008), UnsupportedError, InvalidArgumentError (a model that is quantized already, its
 * own directory as the place to write to, one that cannot be written), OutOfMemoryError or AbortError.
 */
export async function quantizeModel(
  source: string,
  directory: string,
  options: QuantizeOptions = {},
): Promise<QuantizeResult> {
  checkCall('quantizeModel', options, known);
  checkPaths('quantizeModel', { source, directory });
  const { signal, onProgress } = options;
  throwIfAborted(signal);
  const from = await localDirectory(source, signal);
  const { checkpoint, family, config, params } = await openTextModel(from, { signal });
  const graph = weightedGraph(family, config, params, { output: 'logits', blocks: 1, weights: 'q8' });
  checkParams(
    new Map([...graph.params].map(([name, { shape }]) => [name, { shape: shape as number[] }])),
    params,
  );
  const used = [...graph.params.values()].map(({ name, dtype }) => ({
    info: params.get(name) as ParamInfo,
    quantized: dtype === 'q8',
  }));
  if (used.some(({ info }) => info.scales))
    throw new InvalidArgumentError(`quantizeModel: ${from} is quantized already; give it the original`);
  await makeDirectory(directory);
  if (await isSameDirectory(from, directory))
    throw new InvalidArgumentError(
      `quantizeModel: expected a directory to write to other than the model's own, got ${directory}`,
    );
  const tensors = used.flatMap(({ info, quantized }) =>
    quantized ? q8Tensors(info, signal) : [plainTensor(info, signal)],
  );
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  await writeSafetensors(join(directory, weightsFile), reporting(tensors, bytes, onProgress), { signal });
  const copied = await copySideFiles(from, directory, signal);
  await writeConfig(directory, { ...checkpoint.config, quantization_config: { ...q8Config } }, signal);
  return {
    directory,
    files: [weightsFile, ...copied],
    matrices: used.filter(({ quantized }) => quantized).length,
    bytesBefore: used.reduce((sum, { info }) => sum + storedBytes(info), 0),
    bytes,
  };
}

interface SizedTensor extends TensorSource {
  readonly bytes: number;
  readonly data: () => Promise<ArrayBufferView>;
}

function q8Tensors(info: ParamInfo, signal: AbortSignal | undefined): SizedTensor[] {
  const [n, k] = paramShape(info) as [number, number];
  const groups = q8Scales(k);
  return [
    { name: info.name, dtype: 'i8', shape: [n, k], bytes: n * k, data: () => q8Bytes(info, { signal }) },
    {
      name: scaleName(info.name),
      dtype: 'f16',
      shape: [n, groups],
      bytes: n * groups * 2,
      data: () => q8ScaleBits(info, { signal }),
    },
  ];
}

const plainTensor = (info: ParamInfo, signal: AbortSignal | undefined): SizedTensor => ({
  name: info.name,
  dtype: info.dtype,
  shape: info.shape,
  bytes: info.bytes,
  data: () => readTensorTyped(info, { signal }),
});

/** The tensors, with word of how much has been written whenever one more is ready. */
function reporting(
  tensors: readonly SizedTensor[],
  total: number,
  onProgress: QuantizeOptions['onProgress'],
): TensorSource[] {
  let loaded = 0;
  return tensors.map((tensor) => ({
    ...tensor,
    data: async () => {
      const data = await tensor.data();
      loaded += tensor.bytes;
      onProgress?.({ loaded, total });
      return data;
    },
  }));
}
