import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError, ModelFormatError, throwIfAborted, UnsupportedError } from '../errors.js';
import { errorCode } from './file_io.js';
import { isJsonObject, type JsonObject, readJsonFile, show } from './json_file.js';
import { openSafetensors, type SafetensorsHeader, type TensorInfo } from './safetensors.js';

/** A Hugging Face model directory, opened: what its configuration says and where its tensors lie. Holds no file open. */
export interface Checkpoint {
  readonly directory: string;
  /** `config.json`, unchecked: see `configReader`. */
  readonly config: JsonObject;
  /** `generation_config.json`, unchecked; undefined if there is none. */
  readonly generationConfig: JsonObject | undefined;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Size of all tensors together. */
  readonly bytes: number;
}

export interface OpenCheckpointOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What weights are called: by transformers, by diffusers. */
export const weightsFiles = ['model.safetensors', 'diffusion_pytorch_model.safetensors'] as const;
export const [weightsFile] = weightsFiles;

/** The index of weights that are cut into shards, none of which has the name itself. */
export const indexFileOf = (weights: string): string => `${weights}.index.json`;

/** Names of the weights of a 1000-expert model fit well. */
const maxIndexBytes = 64 * 2 ** 20;

/**
 * Opens a model directory: reads its JSON files and the headers of `model.safetensors` (`diffusion_pytorch_model.safetensors` of
 * diffusers) or, if that is missing, of the shards that its index names. No tensor is read.
 * Errors: InvalidArgumentError if `directory` is none; ModelFormatError if a file is missing or malformed, or index and
 * shards contradict each other; UnsupportedError for weights in another format (`.bin`, `.gguf`); AbortError.
 */
export async function openCheckpoint(
  directory: string,
  options: OpenCheckpointOptions = {},
): Promise<Checkpoint> {
  const { signal } = options;
  throwIfAborted(signal);
  const files = await listDirectory(directory);
  if (!files.has('config.json')) throw missingConfig(directory, files);
  const config = await readJsonFile(join(directory, 'config.json'), { signal });
  const generationConfig = files.has('generation_config.json')
    ? await readJsonFile(join(directory, 'generation_config.json'), { signal })
    : undefined;
  const tensors = await openWeights(directory, files, signal);
  let bytes = 0;
  for (const info of tensors.values()) bytes += info.bytes;
  return { directory, config, generationConfig, tensors, bytes };
}

/**
 * Reads an index: the shard that holds each tensor, by tensor name.
 * Errors: ModelFormatError unless `weight_map` maps names to plain file names that end in `.safetensors`.
 */
export async function readShardIndex(
  path: string,
  options: OpenCheckpointOptions = {},
): Promise<ReadonlyMap<string, string>> {
  const index = await readJsonFile(path, { signal: options.signal, maxBytes: maxIndexBytes });
  const map = index.weight_map;
  if (!isJsonObject(map) || Object.keys(map).length === 0) {
    throw new ModelFormatError(`${path}: expected weight_map to map tensor names to files, got ${show(map)}`);
  }
  const shards = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    // A plain name: an index must not lead out of its directory.
    if (typeof file !== 'string' || !/^[^/\\:\0]+\.safetensors$/.test(file) || file.startsWith('.')) {
      throw new ModelFormatError(
        `${path}: tensor ${show(tensor)}: expected the name of a .safetensors file beside the index, got ${show(file)}`,
      );
    }
    shards.set(tensor, file);
  }
  return shards;
}

/** The error for a directory or repository among whose `files` are no weights that we read. */
export function noWeightsError(where: string, files: Iterable<string>): ModelFormatError | UnsupportedError {
  const names = [...files];
  const other = names
    .filter((name) => /\.(bin|pt|pth|ckpt|gguf|onnx|h5|msgpack|safetensors)$/.test(name))
    .sort();
  const found =
    other.length === 0 ? 'no weights' : other.slice(0, 5).join(', ') + (other.length > 5 ? ', …' : '');
  const message = `${where}: expected ${weightsFile} or ${indexFileOf(weightsFile)}, got ${found}`;
  if (other.some((name) => name.endsWith('.gguf')))
    return new UnsupportedError(`${message}: GGUF files are not read yet`);
  if (other.length > 0 && other.every((name) => name.endsWith('.onnx')))
    return new UnsupportedError(
      `${message}: ONNX models are written, not read; load the checkpoint that it was made of`,
    );
  if (other.some((name) => /\.(bin|pt|pth|ckpt)$/.test(name))) {
    return new UnsupportedError(
      `${message}: pickled weights can run code and are not read; convert them to safetensors ` +
        '(Python: AutoModelForCausalLM, or AutoModelForSeq2SeqLM of a model with an encoder, ' +
        '.from_pretrained(dir).save_pretrained(out, safe_serialization=True))',
    );
  }
  return new ModelFormatError(message);
}

async function listDirectory(directory: string): Promise<ReadonlySet<string>> {
  if (typeof directory !== 'string' || directory === '') {
    throw new InvalidArgumentError(`model: expected the path of a directory, got ${show(directory)}`);
  }
  if (directory.startsWith('hf:')) {
    throw new InvalidArgumentError(
      `model: expected the path of a directory, got ${show(directory)}: resolve it first`,
    );
  }
  try {
    if ((await stat(directory)).isDirectory()) return new Set(await readdir(directory));
  } catch (error) {
    throw directoryError(directory, error);
  }
  if (/\.gguf$/i.test(directory)) throw new UnsupportedError(`${directory}: GGUF files are not read yet`);
  const hint = directory.endsWith('.safetensors') ? ': pass the directory that holds it and config.json' : '';
  throw new InvalidArgumentError(`${directory}: expected a model directory, got a file${hint}`);
}

function directoryError(directory: string, error: unknown): unknown {
  const code = errorCode(error);
  if (code === undefined) return error;
  const got = code === 'ENOENT' || code === 'ENOTDIR' ? 'nothing at that path' : code;
  const hint = /^[\w.-]+\/[\w.-]+(@[\w./-]+)?$/.test(directory)
    ? `; a Hugging Face repository is written 'hf:${directory}'`
    : '';
  return new InvalidArgumentError(`${show(directory)}: expected a model directory, got ${got}${hint}`, {
    cause: error,
  });
}

function missingConfig(directory: string, files: ReadonlySet<string>): Error {
  // A directory of nothing but GGUF files has no config.json and needs none.
  if ([...files].some((name) => name.endsWith('.gguf'))) return noWeightsError(directory, files);
  return new ModelFormatError(`${directory}: expected config.json, got a directory without it`);
}

async function openWeights(
  directory: string,
  files: ReadonlySet<string>,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, TensorInfo>> {
  const whole = weightsFiles.find((name) => files.has(name));
  if (whole) return (await openSafetensors(join(directory, whole), { signal })).tensors;
  const indexFile = weightsFiles.map(indexFileOf).find((name) => files.has(name));
  if (!indexFile) throw noWeightsError(directory, files);
  const indexPath = join(directory, indexFile);
  const shardOf = await readShardIndex(indexPath, { signal });
  const headers = new Map<string, SafetensorsHeader>();
  for (const shard of new Set(shardOf.values())) {
    if (!files.has(shard))
      throw new ModelFormatError(`${indexPath}: expected the shard ${shard} beside it, got no such file`);
    headers.set(shard, await openSafetensors(join(directory, shard), { signal }));
  }
  // What a shard holds beyond the index is left out, as Hugging Face does.
  const tensors = new Map<string, TensorInfo>();
  for (const [name, shard] of shardOf) {
    const info = headers.get(shard)?.tensors.get(name);
    if (info === undefined) {
      throw new ModelFormatError(
        `${join(directory, shard)}: expected tensor ${show(name)}, as ${indexFile} says, got none`,
      );
    }
    tensors.set(name, info);
  }
  return tensors;
}
