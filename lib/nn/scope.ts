import type { DType } from '../dtype.js';
import type { Graph } from '../ir/graph.js';
import { fixedDim } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { type Conv2dOptions, conv2d } from '../ops/conv2d.js';
import { embedding } from '../ops/embedding.js';
import { groupNorm } from '../ops/group_norm.js';
import { layerNorm } from '../ops/layer_norm.js';
import { linear } from '../ops/linear.js';
import { rmsNorm } from '../ops/rms_norm.js';

const channelsOf = (x: Value): number => fixedDim('layer', 'the channels', x.shape[1]);
const lastDim = (x: Value): number => fixedDim('layer', 'the last axis', x.shape.at(-1));

interface ConvLayer extends Pick<Conv2dOptions, 'stride' | 'padding'> {
  readonly kernel: number;
  readonly bias?: boolean;
}

/** Where in a checkpoint a layer's parameters are: its path is the prefix of their names. */
export class Scope {
  readonly graph: Graph;
  readonly path: string;
  readonly #dtypeOf: (name: string) => DType;

  /** @param dtypeOf Logical type of the parameter of that name. */
  constructor(graph: Graph, dtypeOf: (name: string) => DType, path = '') {
    this.graph = graph;
    this.path = path;
    this.#dtypeOf = dtypeOf;
  }

  at(name: string | number): Scope {
    return new Scope(this.graph, this.#dtypeOf, this.path ? `${this.path}.${name}` : String(name));
  }

  param(name: string, shape: readonly number[]): Value {
    const { path } = this.at(name);
    return this.graph.param(path, this.#dtypeOf(path), shape);
  }

  /** y = x·Wᵀ (+ bias), `name`.weight [out, in]. */
  linear(x: Value, name: string, out: number, { bias = false }: { readonly bias?: boolean } = {}): Value {
    const s = this.at(name);
    return linear(x, s.param('weight', [out, lastDim(x)]), bias ? s.param('bias', [out]) : undefined);
  }

  /** Rows of `name`.weight [rows, width] chosen by ids. */
  embedding(ids: Value, name: string, rows: number, width: number): Value {
    return embedding(this.at(name).param('weight', [rows, width]), ids);
  }

  rmsNorm(x: Value, name: string, eps: number): Value {
    return rmsNorm(x, this.at(name).param('weight', [lastDim(x)]), eps);
  }

  layerNorm(x: Value, name: string, eps: number): Value {
    const s = this.at(name);
    return layerNorm(x, s.param('weight', [lastDim(x)]), s.param('bias', [lastDim(x)]), eps);
  }

  /** conv2d of a picture [N, C, H, W], `name`.weight [out, C, kernel, kernel], with a bias unless told otherwise. */
  conv2d(x: Value, name: string, out: number, { kernel, bias = true, ...options }: ConvLayer): Value {
    const s = this.at(name);
    const w = s.param('weight', [out, channelsOf(x), kernel, kernel]);
    return conv2d(x, w, { ...options, bias: bias ? s.param('bias', [out]) : undefined });
  }

  groupNorm(x: Value, name: string, options: { readonly groups: number; readonly eps: number }): Value {
    const s = this.at(name);
    const channels = [channelsOf(x)];
    return groupNorm(x, s.param('weight', channels), s.param('bias', channels), options);
  }
}
