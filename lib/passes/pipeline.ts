import type { Graph } from '../ir/graph.js';
import { eliminateDead } from './eliminate_dead.js';
import { fuseLinear } from './fuse_linear.js';
import { fuseQkv } from './fuse_qkv.js';

/** The rewrites before a graph is planned, in order. */
export const inferencePasses: readonly { readonly name: string; readonly run: (graph: Graph) => Graph }[] = [
  { name: 'fuse_qkv', run: fuseQkv },
  { name: 'eliminate_dead', run: eliminateDead },
  { name: 'fuse_linear', run: fuseLinear },
  { name: 'eliminate_dead', run: eliminateDead },
];

/** Runs the passes; `after` sees the graph after each (tests verify it there). */
export function optimize(graph: Graph, after: (graph: Graph, pass: string) => void = () => {}): Graph {
  return inferencePasses.reduce((g, { name, run }) => {
    const result = run(g);
    after(result, name);
    return result;
  }, graph);
}
