import { loadImageAutoencoder } from '../diffusion/load_image_autoencoder.js';
import { isFloat } from '../dtype.js';
import { InvalidArgumentError, ModelFormatError } from '../errors.js';
import { encodePng, loadSharp } from '../image/write_png.js';
import type { Tensor } from '../tensor.js';
import { readTensor } from '../weights/read_tensor.js';
import { replaceFile, writeFully } from '../weights/replace_file.js';
import { openSafetensors } from '../weights/safetensors.js';
import { type LoadFlags, loadOptionsOf } from './load_flags.js';
import { loadShown } from './load_model.js';
import { print } from './terminal.js';

export interface DecodeImageFlags extends Omit<LoadFlags, 'kvCache'> {
  readonly latents: string;
  readonly output: string;
}

/** Runs `triga decode-image`. */
export async function runDecodeImage(
  source: string,
  { latents: path, output, ...flags }: DecodeImageFlags,
  signal: AbortSignal,
): Promise<void> {
  if (!/\.png$/i.test(output))
    throw new InvalidArgumentError(`output: expected a file name that ends in .png, got "${output}"`);
  // Before the model, which takes longer to load than these to be wrong.
  const sharp = await loadSharp();
  const latents = await readLatents(path, signal);
  const model = await loadShown(source, signal, (directory, options) =>
    loadImageAutoencoder(directory, { ...loadOptionsOf(flags), ...options }),
  );
  try {
    const picture = await model.decode(latents, { signal });
    const png = await encodePng(sharp, picture);
    await replaceFile(output, (file) => writeFully(file, png, signal));
    const [, , height, width] = picture.shape;
    await print(`${output}: ${width} × ${height}\n`, signal);
  } finally {
    await model.dispose();
  }
}

/** The tensor `latents` of a safetensors file, or its only one, as f32 [1, L, H, W]. */
async function readLatents(path: string, signal: AbortSignal): Promise<Tensor> {
  const { tensors } = await openSafetensors(path, { signal });
  const info = tensors.get('latents') ?? (tensors.size === 1 ? [...tensors.values()][0] : undefined);
  if (!info) {
    const names = [...tensors.keys()].slice(0, 5).join(', ');
    throw new ModelFormatError(
      `${path}: expected a tensor "latents", or one alone, got ${tensors.size}: ${names}`,
    );
  }
  const shape = info.shape.length === 3 ? [1, ...info.shape] : [...info.shape];
  if (!isFloat(info.dtype) || shape.length !== 4 || shape[0] !== 1)
    throw new ModelFormatError(
      `${path}: tensor "${info.name}": expected floating point latents of one picture, [1, L, H, W] or [L, H, W], ` +
        `got ${info.dtype} [${info.shape.join(', ')}]`,
    );
  return { dtype: 'f32', shape, data: Float32Array.from(await readTensor(info, { signal })) };
}
