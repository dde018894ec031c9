import { realpath } from 'node:fs/promises';
import { dirname, relative, sep } from 'node:path';
import { ModelFormatError, UnsupportedError } from '../errors.js';
import type { Value } from '../ir/value.js';
import type { StoredParam } from '../onnx/graph_builder.js';
import type { ExternalBytes } from '../onnx/onnx_model.js';
import { checkScales, type ParamInfo, type ParamSource, storedBytes } from '../weights/param_source.js';
import type { TensorInfo } from '../weights/safetensors.js';

/**
 * A checkpoint's tensors as external data of an ONNX model: the model names bytes of the checkpoint's own files, so that nothing is
 * converted or written. onnxruntime wants all files below one folder, and follows no link out of it.
 */
export class StoredParams {
  readonly #source: ParamSource;
  readonly #files = new Map<string, string>();
  #folder = '';

  constructor(source: ParamSource) {
    this.#source = source;
  }

  /** The folder that all files of tensors located so far lie below. */
  get folder(): string {
    return this.#folder;
  }

  /** Finds the files of these tensors; Hugging Face's cache, for one, holds links. */
  async locate(names: readonly string[]): Promise<void> {
    const infos = names.map((name) => this.#info(name)).filter(({ data }) => data === undefined);
    // onnxruntime would compute with scales that are not finite.
    for (const info of infos) await checkScales(info);
    const files = infos.flatMap(({ file, scales }) => (scales ? [file, scales.file] : [file]));
    for (const file of new Set(files)) {
      if (this.#files.has(file)) continue;
      const real = await realpath(file).catch((cause: unknown) => {
        throw new ModelFormatError(`${file}: expected a file, got none: it was removed since it was opened`, {
          cause,
        });
      });
      this.#files.set(file, real);
    }
    this.#folder = commonFolder([...this.#files.values()]);
  }

  stored(value: Value): StoredParam {
    const info = this.#info(value.name);
    const { dtype, shape, bytes, data, scales, transposed = false } = info;
    if (data) return { dtype, shape, transposed, data: new Uint8Array(data.buffer, data.byteOffset, bytes) };
    const stored = { dtype, shape, transposed, data: this.#place(info) };
    return scales ? { ...stored, scales: { shape: scales.shape, data: this.#place(scales) } } : stored;
  }

  bytes(name: string): number {
    return storedBytes(this.#info(name));
  }

  #place({ file, offset, bytes }: TensorInfo): ExternalBytes {
    const location = relative(this.#folder, this.#files.get(file) ?? file)
      .split(sep)
      .join('/');
    return { location, offset, bytes };
  }

  #info(name: string): ParamInfo {
    const info = this.#source.get(name);
    if (!info) throw new UnsupportedError(`parameter "${name}" is not in the checkpoint`);
    return info;
  }
}

function commonFolder(files: readonly string[]): string {
  let folder = dirname(files[0] ?? '/.');
  for (const file of files) {
    while (!file.startsWith(folder.endsWith(sep) ? folder : folder + sep)) {
      const above = dirname(folder);
      if (above === folder)
        throw new UnsupportedError(`onnx: expected the weights on one drive, got ${files.join(', ')}`);
      folder = above;
    }
  }
  return folder;
}
