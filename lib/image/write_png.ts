import type Sharp from 'sharp';
import { UnsupportedError } from '../errors.js';
import type { Tensor } from '../tensor.js';

/**
 * sharp, which is the user's to install: whoever wants text only needs none of it. `load` imports it. Rejects with UnsupportedError
 * naming the remedy.
 */
export async function loadSharp(
  load: () => Promise<{ readonly default: typeof Sharp }> = () => import('sharp'),
): Promise<typeof Sharp> {
  try {
    return (await load()).default;
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND';
    const why = missing ? 'is not installed' : `does not load: ${String(cause).split('\n')[0]}`;
    throw new UnsupportedError(
      `png: expected the package sharp, which writes pictures, but it ${why}; "npm install sharp" mends that`,
      { cause },
    );
  }
}

/** A PNG of one picture [1, C, H, W] in [−1, 1], beyond which it is clamped; C is 1, 3 or 4. Throws UnsupportedError. */
export async function encodePng(sharp: typeof Sharp, { shape, data }: Tensor): Promise<Uint8Array> {
  const [count, channels = 0, height = 0, width = 0] = shape;
  if (count !== 1 || (channels !== 1 && channels !== 3 && channels !== 4))
    throw new UnsupportedError(`png: expected one picture of 1, 3 or 4 channels, got [${shape.join(', ')}]`);
  const pixels = height * width;
  const bytes = new Uint8Array(channels * pixels);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < pixels; i++) {
      const unit = ((data[c * pixels + i] as number) + 1) / 2;
      bytes[i * channels + c] = Math.round(255 * Math.min(Math.max(unit, 0), 1));
    }
  }
  return await sharp(bytes, { raw: { width, height, channels } }).png().toBuffer();
}
