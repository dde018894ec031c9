import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { dtypeBytes } from '../dtype.js';
import type { Value } from '../ir/value.js';
import { kvBlockSize } from '../ops/kv_write.js';
import { elementCount } from '../tensor.js';
import { readTokenizerSettings } from '../tokenizers/tokenizer_files.js';
import type { Checkpoint } from '../weights/checkpoint.js';
import { checkParams } from '../weights/param_source.js';
import type { FileDefaults } from './generation_config.js';
import { distinct } from './memory_needs.js';
import { openModel } from './open_text_model.js';
import { type WeightsOption, wholeModel } from './weighted_graph.js';

/** A text model by its files alone. */
export interface TextModelSummary {
  readonly directory: string;
  readonly family: string;
  /** Numbers that were learned, tied ones once. */
  readonly parameters: number;
  /** What the files hold, by element type. */
  readonly tensors: Readonly<Record<string, { readonly count: number; readonly bytes: number }>>;
  /** Size of the weight files. */
  readonly fileBytes: number;
  /** Tensors that the model does not use. */
  readonly unusedTensors: readonly string[];
  readonly contextLength: number;
  /** Of an encoder-decoder: positions of the encoder; `contextLength` are the decoder's. */
  readonly sourceLength?: number;
  /** Whether a sequence may outgrow the context (dynamic RoPE). */
  readonly unbounded: boolean;
  readonly vocabSize: number;
  readonly tokenizer: boolean;
  readonly chatTemplate: boolean;
  /** Estimates: of the weights as `weights` asks, and of the KV cache. Workspace comes on top. */
  readonly memory: {
    readonly weightBytes: number;
    readonly kvBytesPerToken: number;
    readonly kvBytesPerContext: number;
  };
  /** Defaults of generate() by the checkpoint's files. */
  readonly generation: Omit<FileDefaults, 'ignored'>;
  readonly ignoredFields: readonly string[];
}

/**
 * Describes a model directory without reading a weight: configurations, headers, and the graph's shapes. Rejects as loading would
 * with ModelFormatError, UnsupportedError, InvalidArgumentError or AbortError.
 */
export async function inspectTextModel(
  directory: string,
  options: { readonly weights?: WeightsOption | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<TextModelSummary> {
  const { checkpoint, family, config, params, defaults, ignoredFields } = await openModel(directory, options);
  const graphs = wholeModel(family, config, params, options.weights ?? 'stored');
  const needed = distinct(graphs, 'params');
  const unusedTensors = checkParams(
    new Map(needed.map((value) => [value.name, { shape: value.shape as number[] }])),
    params,
    ['lm_head.weight'],
  );
  const { chatTemplates } = readTokenizerSettings(directory);
  const tokenizer = await isFile(join(directory, 'tokenizer.json'));
  const kvBytesPerToken = bytesOf(distinct(graphs, 'states')) / kvBlockSize;
  const { ignored: _, ...generation } = defaults;
  return {
    directory,
    family: family.name,
    parameters: needed.reduce((n, value) => n + elementCount(value.shape as number[]), 0),
    tensors: tensorsByType(checkpoint),
    fileBytes: await fileBytes(checkpoint),
    unusedTensors,
    contextLength: config.contextLength,
    ...(config.sourceLength === undefined ? {} : { sourceLength: config.sourceLength }),
    unbounded: config.unbounded,
    vocabSize: config.vocabSize,
    tokenizer,
    chatTemplate: tokenizer && chatTemplates.default !== undefined,
    memory: {
      weightBytes: bytesOf(needed),
      kvBytesPerToken,
      kvBytesPerContext: kvBytesPerToken * (config.contextLength + (config.sourceLength ?? 0)),
    },
    generation,
    ignoredFields,
  };
}

const bytesOf = (values: readonly Value[]): number =>
  values.reduce((n, { shape, dtype }) => n + elementCount(shape as number[]) * dtypeBytes[dtype], 0);

function tensorsByType({ tensors }: Checkpoint): TextModelSummary['tensors'] {
  const types: Record<string, { count: number; bytes: number }> = {};
  for (const { dtype, bytes } of tensors.values()) {
    types[dtype] ??= { count: 0, bytes: 0 };
    types[dtype].count++;
    types[dtype].bytes += bytes;
  }
  return types;
}

async function fileBytes({ tensors }: Checkpoint): Promise<number> {
  const files = new Set([...tensors.values()].map(({ file }) => file));
  const sizes = await Promise.all([...files].map(async (file) => (await stat(file)).size));
  return sizes.reduce((n, size) => n + size, 0);
}

const isFile = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isFile() ?? false;
