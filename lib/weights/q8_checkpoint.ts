import { q8Group, q8Scales } from '../dtype.js';
import { ModelFormatError, UnsupportedError } from '../errors.js';
import type { ConfigReader } from './config.js';
import { show } from './json_file.js';
import type { ParamInfo } from './param_source.js';
import type { TensorInfo } from './safetensors.js';

/**
 * How a checkpoint of q8 weights says that it is one: `quantization_config` of its config.json. A matrix `name` is I8 [N, K], always
 * with the rows of its result first, and beside it lies `name_scale`, F16 [N, ⌈K / 32⌉]: number k of row n is
 * name[n, k] · name_scale[n, ⌊k / 32⌋]. What is no matrix is stored as in any checkpoint.
 */
export const q8Config = { quant_method: 'triga', format: 'q8', group_size: q8Group } as const;

/** Name of the scales of the matrix of that name. */
export const scaleName = (name: string): string => `${name}_scale`;

/**
 * Whether config.json says that the weights are quantized as {@link q8Config} has it; no `quantization_config`: they are not.
 * Errors: UnsupportedError for any other quantization, ModelFormatError for fields of the wrong type.
 */
export function readQuantization(config: ConfigReader): boolean {
  const q = config.object('quantization_config');
  if (!q) return false;
  const method = q.str('quant_method', { default: '' });
  if (method !== q8Config.quant_method)
    throw new UnsupportedError(
      `${q.where}: expected quant_method ${show(q8Config.quant_method)}, got ${show(method)}: checkpoints of this quantization are not read`,
    );
  q.oneOf('format', [q8Config.format]);
  q.only('group_size', q8Config.group_size);
  return true;
}

/** The tensors of a q8 checkpoint, matrices with their scales. Errors: ModelFormatError naming the tensor. */
export function withScales(tensors: ReadonlyMap<string, TensorInfo>): ReadonlyMap<string, ParamInfo> {
  const matrices = [...tensors.values()].filter(({ dtype }) => dtype === 'i8');
  const scales = new Set(matrices.map(({ name }) => scaleName(name)));
  const params = new Map<string, ParamInfo>();
  for (const [name, info] of tensors) {
    if (scales.has(name)) continue;
    params.set(name, info.dtype === 'i8' ? { ...info, scales: scalesOf(info, tensors) } : info);
  }
  return params;
}

function scalesOf({ name, shape, file }: TensorInfo, tensors: ReadonlyMap<string, TensorInfo>): TensorInfo {
  const where = `${file}: tensor ${show(name)}`;
  const [n, k] = shape;
  if (shape.length !== 2 || n === undefined || k === undefined)
    throw new ModelFormatError(`${where}: expected a matrix of q8 weights, got shape ${show(shape)}`);
  const scales = tensors.get(scaleName(name));
  const wanted = `scales ${show(scaleName(name))} of f16${show([n, q8Scales(k)])}`;
  if (!scales) throw new ModelFormatError(`${where}: expected ${wanted}, got no such tensor`);
  const fits = scales.dtype === 'f16' && scales.shape.join() === [n, q8Scales(k)].join();
  if (!fits)
    throw new ModelFormatError(`${where}: expected ${wanted}, got ${scales.dtype}${show(scales.shape)}`);
  return scales;
}
