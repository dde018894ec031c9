import { throwIfAborted, UnsupportedError } from '../errors.js';
import { buildPaddedTextGraph } from '../models/text_graph.js';
import { checkPaths, copySideFiles, makeDirectory } from '../weights/model_directory.js';
import { checkParams } from '../weights/param_source.js';
import { checkCall } from './check_call.js';
import { directoryOf } from './model_source.js';
import { openTextModel } from './open_text_model.js';
import { weightTypes } from './weighted_graph.js';

export interface ExportOnnxOptions {
  /** Default `stored`: f16 matrices stay f16, everything else becomes f32. */
  readonly weights?: 'stored' | 'f32' | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called while weights are written: bytes so far and in all. */
  readonly onProgress?: ((progress: { readonly loaded: number; readonly total: number }) => void) | undefined;
}

export interface ExportOnnxResult {
  readonly directory: string;
  /** Names of the files in it. */
  readonly files: readonly string[];
  /** Size of model and weights. */
  readonly bytes: number;
}

const known = {
  names: ['weights', 'signal', 'onProgress'],
  choices: { weights: ['stored', 'f32'] },
};

/**
 * Writes a causal language model as ONNX of opset 23 (tried: onnxruntime 1.30): `model.onnx`, its weights in `model.onnx_data`, and
 * the configuration and tokenizer files beside them. Inputs and outputs are named as Hugging Face's optimum names them: `input_ids`,
 * `attention_mask`, `position_ids`, `past_key_values.N.key` and `.value` → `logits`, `present.N.key` and `.value`. Weights pass
 * through in small pieces. Rejects with ModelFormatError, UnsupportedError (a configuration that such a graph cannot express),
 * InvalidArgumentError (a directory that cannot be written), or AbortError, after which no half-written file is left.
 */
export async function exportOnnx(
  source: string,
  directory: string,
  options: ExportOnnxOptions = {},
): Promise<ExportOnnxResult> {
  checkCall('exportOnnx', options, known);
  checkPaths('exportOnnx', { source, directory });
  const { signal, onProgress } = options;
  throwIfAborted(signal);
  // Protocol buffers, which only an export needs, cost the import of the package nothing.
  const { dataFile, modelFile, writeModel } = await import('../onnx/write_model.js');
  const from = await directoryOf(source, { signal });
  const { family, config, params } = await openTextModel(from, { signal });
  const typeOf = weightTypes(params, options.weights ?? 'stored');
  const graph = buildPaddedTextGraph(family, config, (name) => (typeOf(name) === 'f16' ? 'f16' : 'f32'));
  checkParams(
    new Map([...graph.params].map(([name, { shape }]) => [name, { shape: shape as number[] }])),
    params,
  );
  const quantized = [...graph.params.keys()].find((name) => params.get(name)?.scales);
  if (quantized !== undefined)
    throw new UnsupportedError(
      `exportOnnx: "${quantized}" is q8, which is not exported; export the checkpoint that it was made from`,
    );
  await makeDirectory(directory);
  const bytes = await writeModel(graph, params, directory, {
    signal,
    onProgress: (loaded, total) => onProgress?.({ loaded, total }),
  });
  const copied = await copySideFiles(from, directory, signal);
  return { directory, files: [modelFile, dataFile, ...copied], bytes };
}
