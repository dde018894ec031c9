import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { dtypeBytes } from '../dtype.js';
import { ModelFormatError } from '../errors.js';
import type { Graph } from '../ir/graph.js';
import { evalShape } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { elementCount } from '../tensor.js';
import type { ParamInfo, ParamSource } from '../weights/param_source.js';
import { streamTensor } from '../weights/read_tensor.js';
import { replaceFile, writeFully } from '../weights/replace_file.js';
import type { StoredParam } from './graph_builder.js';
import { lowerGraph } from './lower_graph.js';
import { nameOutputs } from './name_outputs.js';

export const modelFile = 'model.onnx';
export const dataFile = 'model.onnx_data';

export interface WriteModelOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called as weights are written: bytes so far and in all. */
  readonly onProgress?: ((written: number, total: number) => void) | undefined;
}

/** A tensor's place in the data file. */
interface Placed {
  readonly info: ParamInfo;
  readonly as: 'stored' | 'f32';
  readonly offset: number;
  readonly bytes: number;
}

/** Large tensors begin on a page, so that runtimes can map them. */
const pageBytes = 4096;
const largeBytes = 2 ** 20;

/**
 * Writes a graph as `model.onnx`, with its parameters in `model.onnx_data`; returns the size of both. f16 weights stay f16 where the
 * graph has them so, all others become f32, which every ONNX runtime reads. Tensors pass through a small buffer, one after the other.
 * Errors: UnsupportedError for a graph that ONNX cannot express; InvalidArgumentError for a directory that cannot be written;
 * ModelFormatError if a weight file was cut short; AbortError.
 */
export async function writeModel(
  graph: Graph,
  params: ParamSource,
  directory: string,
  options: WriteModelOptions = {},
): Promise<number> {
  const { signal, onProgress } = options;
  const placed = placeParams(graph, params);
  const total = [...placed.values()].reduce((n, { bytes }) => n + bytes, 0);
  const end = [...placed.values()].reduce((n, p) => Math.max(n, p.offset + p.bytes), 0);
  const stored = (value: Value): StoredParam => {
    const { info, as, offset, bytes } = placed.get(value.name) as Placed;
    return {
      dtype: as === 'f32' ? as : info.dtype,
      shape: info.shape,
      transposed: info.transposed ?? false,
      data: { location: dataFile, offset, bytes },
    };
  };
  // Imported when it is wanted: the protobuf library would slow every start down.
  const { encodeModel } = await import('./encode_model.js');
  const model = encodeModel(nameOutputs(lowerGraph(graph, { param: stored })));
  await replaceFile(join(directory, modelFile), async (file) => {
    await writeFully(file, model, signal);
    // The model takes its place after the data that it names.
    await replaceFile(join(directory, dataFile), async (data) => {
      let written = 0;
      for (const tensor of placed.values()) {
        await writeTensor(data, tensor, signal);
        written += tensor.bytes;
        onProgress?.(written, total);
      }
    });
  });
  return model.length + end;
}

function placeParams(graph: Graph, params: ParamSource): ReadonlyMap<string, Placed> {
  const placed = new Map<string, Placed>();
  let end = 0;
  for (const value of graph.params.values()) {
    const info = params.get(value.name);
    if (!info) throw new ModelFormatError(`checkpoint: expected tensor ${value.name}, got none of that name`);
    const as = value.dtype === 'f16' && info.dtype === 'f16' ? 'stored' : 'f32';
    const bytes = elementCount(evalShape(value.shape, {})) * (as === 'f32' ? 4 : dtypeBytes[info.dtype]);
    const alignment = bytes >= largeBytes ? pageBytes : 64;
    const offset = Math.ceil(end / alignment) * alignment;
    placed.set(value.name, { info, as, offset, bytes });
    end = offset + bytes;
  }
  return placed;
}

async function writeTensor(
  file: FileHandle,
  { info, as, offset }: Placed,
  signal: AbortSignal | undefined,
): Promise<void> {
  let at = offset;
  const put = async (bytes: Uint8Array): Promise<void> => {
    await writeFully(file, bytes, signal, at);
    at += bytes.length;
  };
  if (info.data) await put(new Uint8Array(info.data.buffer, info.data.byteOffset, info.data.byteLength));
  else await streamTensor(info, as, put, { signal });
}
