import { q8Scales } from '../dtype.js';
import { checkCall } from '../generate/check_call.js';
import { type ParamInfo, paramShape } from '../weights/param_source.js';
import { q8Config, scaleName } from '../weights/q8_checkpoint.js';
import { q8Bytes, q8ScaleBits } from './quantize_rows.js';
import {
  type RewriteOptions,
  type RewriteResult,
  rewriteModel,
  type SizedTensor,
  sameTensor,
} from './rewrite_model.js';

export interface QuantizeOptions extends RewriteOptions {
  /** Default `q8`: int8 with one f16 scale for each 32 numbers of a row, ggml's Q8_0. */
  readonly weights?: 'q8' | undefined;
}

export interface QuantizeResult extends RewriteResult {
  /** Matrices that were quantized. */
  readonly matrices: number;
}

const known = { names: ['weights', 'signal', 'onProgress'], choices: { weights: ['q8'] } };

/**
 * Writes a causal language model with the weights of its linears, and of the embedding that a tied output layer shares, quantized:
 * a model directory whose `config.json` has a `quantization_config`. `loadTextModel` runs it as stored, with the bits that
 * `weights: 'q8'` gives for the original. Weights pass through one matrix at a time. Rejects with ModelFormatError (also a weight
 * that is not finite, or beyond 8,319,008), UnsupportedError, InvalidArgumentError (a model that is quantized already, its own
 * directory as the place to write to, one that cannot be written), OutOfMemoryError or AbortError.
 */
export async function quantizeModel(
  source: string,
  directory: string,
  options: QuantizeOptions = {},
): Promise<QuantizeResult> {
  checkCall('quantizeModel', options, known);
  const { signal, onProgress } = options;
  let matrices = 0;
  const result = await rewriteModel({
    where: 'quantizeModel',
    source,
    directory,
    weights: 'q8',
    signal,
    onProgress,
    change({ checkpoint }, params) {
      const quantized = params.filter(({ dtype }) => dtype === 'q8');
      matrices = quantized.length;
      const tensors = params.flatMap(({ info, dtype }) =>
        dtype === 'q8' ? q8Tensors(info, signal) : [sameTensor(info, signal)],
      );
      return { tensors, config: { ...checkpoint.config, quantization_config: { ...q8Config } } };
    },
  });
  return { ...result, matrices };
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
