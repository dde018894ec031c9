import { realpath } from 'node:fs/promises';
import { dirname, relative, sep } from 'node:path';
import { ModelFormatError, UnsupportedError } from '../errors.js';
import type { Value } from '../ir/value.js';
import type { StoredParam } from '../onnx/graph_builder.js';
import type { ParamInfo, ParamSource } from '../weights/param_source.js';

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
    const files = names.map((name) => this.#info(name)).filter(({ data }) => data === undefined);
    for (const file of new Set(files.map((info) => info.file))) {
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
    const { dtype, shape, file, offset, bytes, data, transposed = false } = this.#info(value.name);
    if (data) return { dtype, shape, transposed, data: new Uint8Array(data.buffer, data.byteOffset, bytes) };
    const location = relative(this.#folder, this.#files.get(file) ?? file)
      .split(sep)
      .join('/');
    return { dtype, shape, transposed, data: { location, offset, bytes } };
  }

  bytes(name: string): number {
    return this.#info(name).bytes;
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
