import type { Graph } from '../ir/graph.js';
import { eliminateDead } from './eliminate_dead.js';
import { fuseConv2d } from './fuse_conv2d.js';
import { fuseCrossEntropy } from './fuse_cross_entropy.js';
import { fuseGate } from './fuse_gate.js';
import { fuseLinear } from './fuse_linear.js';
import { fuseMatmulAdd } from './fuse_matmul_add.js';
import { fuseNormQuantize } from './fuse_norm_quantize.js';
import { fuseQkv } from './fuse_qkv.js';

/** The rewrites before a graph is planned, in order. */
export const inferencePasses: readonly { readonly name: string; readonly run: (graph: Graph) => Graph }[] = [
  { name: 'fuse_qkv', run: fuseQkv },
  { name: 'eliminate_dead', run: eliminateDead },
  { name: 'fuse_linear', run: fuseLinear },
  { name: 'fuse_matmul_add', run: fuseMatmulAdd },
  { name: 'fuse_conv2d', run: fuseConv2d },
  { name: 'fuse_norm_quantize', run: fuseNormQuantize },
  { name: 'eliminate_dead', run: eliminateDead },
];

/** The rewrites of a forward graph before it is differentiated: what they fuse has a gradient of its own. */
export const prepareForTraining = (graph: Graph): Graph => eliminateDead(fuseCrossEntropy(fuseGate(graph)));

/** Runs the passes one by one, and gives the graph after each. */
export function* passByPass(graph: Graph): Generator<{ readonly graph: Graph; readonly pass: string }> {
  let result = graph;
  for (const { name, run } of inferencePasses) {
    result = run(result);
    yield { graph: result, pass: name };
  }
}

/** Runs the passes; `after` sees the graph after each (tests verify it there). */
export function optimize(graph: Graph, after: (graph: Graph, pass: string) => void = () => {}): Graph {
  let result = graph;
  for (const { graph: next, pass } of passByPass(graph)) {
    after(next, pass);
    result = next;
  }
  return result;
}
