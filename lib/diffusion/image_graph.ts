import { Graph } from '../ir/graph.js';
import { mulDims } from '../ir/shape.js';
import type { ImageConfig, ImageFamily } from '../models/image_family.js';
import { Scope } from '../nn/scope.js';

/** Sides of the latents: what the sizes of all values are multiples of. */
export const sides = ['H', 'W'] as const;

/** The graphs of an image autoencoder, for one picture of any size: from the input `x` to the output `y`. */
export interface ImageGraphs {
  readonly encode: Graph;
  readonly decode: Graph;
}

/** Builds both graphs of a family. Parameters are f32, whatever the file stores. */
export function buildImageGraphs<C extends ImageConfig>(family: ImageFamily<C>, config: C): ImageGraphs {
  const [encode, decode] = [new Graph(), new Graph()];
  const { inChannels, encoderScale, latentChannels } = config;
  const pixels = encode.input('x', 'f32', [1, inChannels, ...sides.map((s) => mulDims(encoderScale, s))]);
  encode.output('y', family.encode(new Scope(encode, () => 'f32'), config, pixels));
  const latents = decode.input('x', 'f32', [1, latentChannels, ...sides]);
  decode.output('y', family.decode(new Scope(decode, () => 'f32'), config, latents));
  return { encode, decode };
}
