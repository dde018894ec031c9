import { type DType, isFloat } from '../dtype.js';
import { UnsupportedError } from '../errors.js';
import type { Graph } from '../ir/graph.js';
import type { TextConfig, TextFamily } from '../models/family.js';
import { buildTextGraph, type TextGraphOptions } from '../models/text_graph.js';
import { quantizeLinear } from '../passes/quantize_linear.js';
import { type ParamSource, storedType } from '../weights/param_source.js';

/** `weights` option: as the file stores them, or converted when they are packed. */
export type WeightsOption = 'stored' | 'f32' | 'bf16' | 'q8' | 'q4' | 'w8a8';

/** The type that each parameter has in memory. Throws UnsupportedError for types that are not built. */
export function weightTypes(params: ParamSource, option: WeightsOption): (name: string) => DType {
  if (option === 'q4' || option === 'w8a8')
    throw new UnsupportedError(`weights: "${option}" is not built yet; use "stored", "f32", "bf16" or "q8"`);
  return (name) => {
    const info = params.get(name);
    // Tensors that are missing, or no weights, are told of once the graph says which there should be.
    if (info?.shape.length !== 2 || info.shape[0] === 1) return 'f32';
    if (option !== 'stored') return option;
    const type = storedType(info);
    return type === 'q8' || isFloat(type) ? type : 'f32';
  };
}

/** The graphs that say all that a model is made of, with a KV cache of one block. Throws UnsupportedError. */
export const wholeModel = <C extends TextConfig>(
  family: TextFamily<C>,
  config: C,
  params: ParamSource,
  weights: WeightsOption,
): readonly Graph[] =>
  (family.encode ? (['logits', 'encode'] as const) : (['logits'] as const)).map((output) =>
    weightedGraph(family, config, params, { output, blocks: 1, weights }),
  );

/** A family's graph over a checkpoint's parameters, with the weights that `weights` asks for. Throws UnsupportedError. */
export function weightedGraph<C extends TextConfig>(
  family: TextFamily<C>,
  config: C,
  params: ParamSource,
  options: Pick<TextGraphOptions, 'output' | 'blocks'> & { readonly weights: WeightsOption },
): Graph {
  const { output, blocks, weights } = options;
  const typeOf = weightTypes(params, weights);
  // A family knows nothing of quantization: it builds over f32, and a pass makes q8 of it.
  const dtypeOf = (name: string): DType => (typeOf(name) === 'q8' ? 'f32' : typeOf(name));
  const graph = buildTextGraph(family, config, { output, blocks, dtypeOf });
  return quantizeLinear(graph, (name) => typeOf(name) === 'q8');
}
