import { Graph } from '../../../lib/ir/graph.js';
import type { Value } from '../../../lib/ir/value.js';
import type { GoldenTensor } from '../../golden.js';
import type { Program } from '../../replay.js';
import { elementwise } from './elementwise.js';
import { layers } from './layers.js';
import { layout } from './layout.js';
import { losses } from './losses.js';
import type { Build } from './operands.js';
import { pictures } from './pictures.js';

/** `golden.json` of the ops. */
export interface GoldenOps {
  readonly ops: Readonly<Record<string, unknown>>;
  readonly tensors: Readonly<Record<string, { readonly suggest_atol?: number; readonly dtype?: string }>>;
}

/** Golden entries in our ops. */
export const builds: Readonly<Record<string, Build>> = {
  ...elementwise,
  ...layout,
  ...losses,
  ...layers,
  ...pictures,
};

/** An entry's graph before it is fed: its result, and its operands by their index. */
export interface GoldenGraph extends Program {
  readonly y: Value;
  readonly operands: ReadonlyMap<number, Value>;
}

/** The graph of an entry, and its inputs to feed it with. */
export function goldenGraph(build: Build, tensor: (i: number) => GoldenTensor): GoldenGraph {
  const graph = new Graph();
  const inputs: Record<string, GoldenTensor> = {};
  const params: Record<string, GoldenTensor> = {};
  const operands = new Map<number, Value>();
  const leaf = (i: number, dtype: 'f32' | 'i32', kind: 'input' | 'param'): Value => {
    const name = `${kind}.${dtype}.${i}`;
    (kind === 'param' ? params : inputs)[name] = tensor(i);
    const value = graph[kind](name, dtype, tensor(i).shape);
    operands.set(i, value);
    return value;
  };
  const y = build({
    graph,
    x: (i) => leaf(i, 'f32', 'input'),
    ids: (i) => leaf(i, 'i32', 'input'),
    param: (i) => leaf(i, 'f32', 'param'),
    numbers: (i) => Array.from(tensor(i).data),
  });
  graph.output('y', y);
  return { graph, y, operands, feed: { inputs, params } };
}
