import { join } from 'node:path';
import type { DType } from '../dtype.js';
import { InvalidArgumentError, throwIfAborted } from '../errors.js';
import { directoryOf } from '../generate/model_source.js';
import { type OpenedModel, openTextModel } from '../generate/open_text_model.js';
import { type WeightsOption, weightedGraph } from '../generate/weighted_graph.js';
import { weightsFile } from '../weights/checkpoint.js';
import type { JsonObject } from '../weights/json_file.js';
import {
  checkPaths,
  copySideFiles,
  isSameDirectory,
  makeDirectory,
  writeConfig,
} from '../weights/model_directory.js';
import { checkParams, type ParamInfo, paramOf, storedBytes } from '../weights/param_source.js';
import { readTensorTyped } from '../weights/read_tensor.js';
import { type TensorSource, writeSafetensors } from '../weights/write_safetensors.js';

export interface RewriteOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called while weights are written: bytes so far and in all. */
  readonly onProgress?: ((progress: { readonly loaded: number; readonly total: number }) => void) | undefined;
}

export interface RewriteResult {
  readonly directory: string;
  /** Names of the files in it. */
  readonly files: readonly string[];
  /** Size of the weights that the model uses, before and after. */
  readonly bytesBefore: number;
  readonly bytes: number;
}

/** A parameter that a model uses, with its type in the graph. */
export interface UsedParam {
  readonly info: ParamInfo;
  readonly dtype: DType;
}

/** A tensor to be written, and its size. */
export interface SizedTensor extends TensorSource {
  readonly bytes: number;
  readonly data: () => Promise<ArrayBufferView>;
}

/** What becomes of a model: its tensors and its config.json. */
export interface Rewritten {
  readonly tensors: readonly SizedTensor[];
  readonly config: JsonObject;
}

export interface Rewrite extends RewriteOptions {
  /** The function that does it, for messages. */
  readonly where: string;
  readonly source: string;
  readonly directory: string;
  /** The types that the parameters are wanted in. */
  readonly weights: WeightsOption;
  readonly change: (model: OpenedModel, params: readonly UsedParam[]) => Promise<Rewritten> | Rewritten;
}

/**
 * Writes a causal language model changed, as a model directory: `model.safetensors`, `config.json` and the tokenizer's files. Tensors
 * that the model does not use are left out. Rejects with ModelFormatError, UnsupportedError, InvalidArgumentError (a model that is
 * quantized already, its own directory as the place to write to, one that cannot be written), OutOfMemoryError or AbortError.
 */
export async function rewriteModel(rewrite: Rewrite): Promise<RewriteResult> {
  const { where, source, directory, weights, change, signal } = rewrite;
  checkPaths(where, { source, directory });
  throwIfAborted(signal);
  const from = await directoryOf(source, { signal });
  const model = await openTextModel(from, { signal });
  const params = usedParams(model, weights);
  if (params.some(({ info }) => info.scales))
    throw new InvalidArgumentError(`${where}: ${from} is quantized already; give it the original`);
  await makeDirectory(directory);
  if (await isSameDirectory(from, directory))
    throw new InvalidArgumentError(
      `${where}: expected a directory to write to other than the model's own, got ${directory}`,
    );
  const { tensors, config } = await change(model, params);
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const weightsPath = join(directory, weightsFile);
  await writeSafetensors(weightsPath, reporting(tensors, bytes, rewrite.onProgress), { signal });
  const copied = await copySideFiles(from, directory, signal);
  await writeConfig(directory, config, signal);
  return {
    directory,
    files: [weightsFile, ...copied],
    bytesBefore: params.reduce((sum, { info }) => sum + storedBytes(info), 0),
    bytes,
  };
}

function usedParams({ family, config, params }: OpenedModel, weights: WeightsOption): UsedParam[] {
  const graph = weightedGraph(family, config, params, { output: 'logits', blocks: 1, weights });
  const used = [...graph.params.values()];
  checkParams(new Map(used.map(({ name, shape }) => [name, { shape: shape as number[] }])), params);
  return used.map(({ name, dtype }) => ({ info: paramOf(params, name), dtype }));
}

/** A tensor as it is. */
export const sameTensor = (info: ParamInfo, signal: AbortSignal | undefined): SizedTensor => ({
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
  onProgress: RewriteOptions['onProgress'],
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
