import { type DType, isFloat, q8Group, q8Scales } from '../dtype.js';
import { ModelFormatError, UnsupportedError } from '../errors.js';
import { show } from './json_file.js';
import { type ReadTensorOptions, readTensor } from './read_tensor.js';
import type { TensorInfo } from './safetensors.js';

/** A checkpoint tensor as a model's parameter. `name` and `shape` are the file's. */
export interface ParamInfo extends TensorInfo {
  /** f16 [N, ⌈K / 32⌉]: the tensor holds the int8 numbers of a q8 matrix [N, K]. */
  readonly scales?: TensorInfo;
  /** The file holds the parameter's transpose: a parameter [N, K] is stored as [K, N] (GPT-2's Conv1D). */
  readonly transposed?: boolean;
  /** The numbers, row-major, of a tensor that lies in memory and in no file. */
  readonly data?: Float32Array;
}

/** The logical type of a parameter as it is stored. */
export const storedType = ({ dtype, scales }: ParamInfo): DType => (scales ? 'q8' : dtype);

/** Bytes that a parameter takes in its files. */
export const storedBytes = ({ bytes, scales }: ParamInfo): number => bytes + (scales?.bytes ?? 0);

/** A checkpoint's tensors by the names that the model family gives its parameters. */
export interface ParamSource {
  get(name: string): ParamInfo | undefined;
  names(): Iterable<string>;
}

/** How a family's names differ from a checkpoint's, as data. Patterns see names without the optional prefix. */
export interface ParamAliases {
  /** Begins every name in some checkpoints and none in others. {@link ParamSource.get} takes names with or without it. */
  readonly optionalPrefix?: string;
  /** Names under which a tensor may lie as well, or instead: an embedding that several layers share. */
  readonly copies?: Readonly<Record<string, readonly string[]>>;
  /** Tensors that carry nothing (buffers such as causal masks): as if they were not there. */
  readonly ignored?: readonly RegExp[];
  /** Matrices that are stored transposed. */
  readonly transposed?: RegExp;
}

/**
 * The parameters of a checkpoint by the family's names; `names()` gives them without the optional prefix.
 * Errors: ModelFormatError if a tensor is there both with and without the prefix, or a transposed one is no matrix.
 */
export function aliasedParams(
  tensors: ReadonlyMap<string, ParamInfo>,
  aliases: ParamAliases = {},
): ParamSource {
  const prefix = aliases.optionalPrefix ?? '';
  const strip = (name: string) => (name.startsWith(prefix) ? name.slice(prefix.length) : name);
  const params = new Map<string, ParamInfo>();
  for (const [stored, info] of tensors) {
    const name = strip(stored);
    if (aliases.ignored?.some((pattern) => pattern.test(name))) continue;
    const rival = params.get(name);
    if (rival !== undefined) {
      throw new ModelFormatError(
        `${info.file}: expected one of ${show(rival.name)} and ${show(stored)}, got both`,
      );
    }
    const transposed = (!info.scales && aliases.transposed?.test(name)) ?? false;
    if (transposed && info.shape.length !== 2) {
      throw new ModelFormatError(
        `${info.file}: tensor ${show(stored)}: expected a matrix, got shape ${show(info.shape)}`,
      );
    }
    params.set(name, transposed ? { ...info, transposed } : info);
  }
  for (const [name, copies] of Object.entries(aliases.copies ?? {})) {
    const [found] = [name, ...copies].flatMap((n) => params.get(n) ?? []);
    if (found) params.set(name, found);
    for (const copy of copies) params.delete(copy);
  }
  return { get: (name) => params.get(strip(name)), names: () => params.keys() };
}

/** Parameters that lie in memory: f32, by name. */
export function memoryParams(
  tensors: Readonly<Record<string, { readonly shape: readonly number[]; readonly data: ArrayLike<number> }>>,
): ParamSource {
  const params = new Map(
    Object.entries(tensors).map(([name, { shape, data }]): [string, ParamInfo] => [
      name,
      {
        name,
        dtype: 'f32',
        shape,
        file: '',
        offset: 0,
        bytes: data.length * 4,
        data: Float32Array.from(data),
      },
    ]),
  );
  return { get: (name) => params.get(name), names: () => params.keys() };
}

/** Shape of the parameter, which is the stored shape unless that is its transpose. */
export const paramShape = ({ shape, transposed }: ParamInfo): readonly number[] =>
  transposed ? shape.toReversed() : shape;

/** The parameter of that name. Throws ModelFormatError if there is none. */
export function paramOf(source: ParamSource, name: string): ParamInfo {
  const info = source.get(name);
  if (info === undefined)
    throw new ModelFormatError(`checkpoint: expected tensor ${show(name)}, got none of that name`);
  return info;
}

/**
 * Reads a parameter as float64, row-major in its own shape (not the stored one, where that is transposed).
 * Errors: ModelFormatError if its file was cut short; OutOfMemoryError; AbortError.
 */
export async function readParam(info: ParamInfo, options: ReadTensorOptions = {}): Promise<Float64Array> {
  if (info.data) return Float64Array.from(info.data);
  const data = await readTensor(info, { signal: options.signal, transposed: info.transposed });
  if (info.scales) scaleRows(info, data, await readTensor(info.scales, options));
  return data;
}

/** Multiplies the numbers of q8 rows with their scales. */
function scaleRows(info: ParamInfo, data: Float64Array, scales: Float64Array): void {
  const k = info.shape[1] as number;
  const count = q8Scales(k);
  scales.forEach((scale, i) => {
    const row = Math.floor(i / count);
    if (!Number.isFinite(scale)) throw scaleError(info, row);
    const begin = row * k + (i % count) * q8Group;
    for (let j = begin; j < Math.min(begin + q8Group, (row + 1) * k); j++)
      data[j] = (data[j] as number) * scale;
  });
}

/** Reads the scales of a q8 matrix to see that they are finite; of any other parameter there are none. Throws ModelFormatError. */
export async function checkScales(info: ParamInfo, options: ReadTensorOptions = {}): Promise<void> {
  if (!info.scales) return;
  const bad = (await readTensor(info.scales, options)).findIndex((scale) => !Number.isFinite(scale));
  if (bad >= 0) throw scaleError(info, Math.floor(bad / q8Scales(info.shape[1] as number)));
}

/** The error for a matrix that q8 does not hold, or a q8 matrix with a scale that is not finite. */
export function scaleError(info: ParamInfo, row: number): ModelFormatError {
  const expected = info.scales
    ? 'finite scales'
    : 'finite weights of at most 8,319,008 in magnitude, as q8 can hold';
  return new ModelFormatError(`tensor ${show(info.name)}: row ${row}: expected ${expected}, got another`);
}

export interface ExpectedParam {
  /** Shape that the family computes with. */
  readonly shape: readonly number[];
}

/**
 * Compares what a model needs with what a checkpoint has, and returns the names of tensors that the model does not use,
 * to be warned of. `redundant` names some that are left out of that list: `lm_head.weight` where embeddings are tied.
 * Errors: ModelFormatError naming missing tensors, or wrong shapes as expected and got; UnsupportedError for weights
 * that are not floating point.
 */
export function checkParams(
  expected: ReadonlyMap<string, ExpectedParam>,
  source: ParamSource,
  redundant: readonly string[] = [],
): string[] {
  const missing: string[] = [];
  const misshapen: string[] = [];
  let misfit: string | undefined;
  const used = new Set<ParamInfo>();
  for (const [name, { shape }] of expected) {
    const info = source.get(name);
    if (info === undefined) {
      missing.push(name);
      continue;
    }
    used.add(info);
    if (!isFloat(info.dtype) && !info.scales) {
      throw new UnsupportedError(
        `${info.file}: tensor ${show(info.name)}: expected floating point weights, got ${info.dtype}: quantized checkpoints of this kind are not read; take the one that it was made from`,
      );
    }
    const got = paramShape(info);
    if (got.length !== shape.length || got.some((dim, i) => dim !== shape[i])) {
      misfit ??= info.file;
      misshapen.push(
        `${name}: expected shape ${show(shape)}, got ${show(got)}${info.transposed ? ' (stored transposed)' : ''}`,
      );
    }
  }
  if (missing.length > 0) {
    throw new ModelFormatError(
      `checkpoint: expected ${expected.size} tensors by its config.json, got none for ${missing.length}: ${some(missing, ', ')}`,
    );
  }
  if (misfit !== undefined)
    throw new ModelFormatError(`${misfit}: does not fit config.json: ${some(misshapen, '; ')}`);
  const known = new Set([...used, ...redundant.map((name) => source.get(name))]);
  return [...source.names()].filter((name) => !known.has(source.get(name)));
}

/** The first five of a list, and how many more there are. */
function some(items: readonly string[], separator: string): string {
  const more = items.length > 5 ? `${separator}… (${items.length} in all)` : '';
  return items.slice(0, 5).join(separator) + more;
}
