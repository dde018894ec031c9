import type { Graph } from '../ir/graph.js';
import type { Node, Value } from '../ir/value.js';
import type { MatmulOptions } from '../ops/matmul.js';
import { matmulAdd } from '../ops/matmul_add.js';
import { type Fusion, fuseNodes } from './fuse_nodes.js';
import type { Matcher } from './match.js';

type Inputs = Parameters<typeof matmulAdd>[0];
type Attrs = Required<MatmulOptions>;

/** A sum of a product of matrices and something of its shape: the product's sums begin to be stored with it. */
export const fuseMatmulAdd = (graph: Graph): Graph => fuseNodes(graph, sum, matmulAdd);

function sum(m: Matcher, node: Node): Fusion<Inputs, Attrs> | undefined {
  const { a, b } = node.inputs;
  if (node.op !== 'binary' || node.attrs.fn !== 'add' || !a || !b) return undefined;
  if (a.shape.join() !== b.shape.join() || a.shape.length !== 2) return undefined;
  for (const [product, residual] of [
    [b, a],
    [a, b],
  ] as const) {
    const fused = ofMatmul(m, product, residual) ?? ofTrainedLinear(m, product, residual);
    if (fused) return fused;
  }
  return undefined;
}

function ofMatmul(m: Matcher, product: Value, residual: Value): Fusion<Inputs, Attrs> | undefined {
  const node = m.soleProducer(product, 'matmul');
  const { a, b } = node?.inputs ?? {};
  return node && a && b ? { inputs: { a, b, residual }, attrs: node.attrs as unknown as Attrs } : undefined;
}

/** Of a linear whose weight is a parameter, `fuse_linear` takes care. */
function ofTrainedLinear(m: Matcher, product: Value, residual: Value): Fusion<Inputs, Attrs> | undefined {
  const node = m.soleProducer(product, 'linear');
  const { x, w, bias } = node?.inputs ?? {};
  if (!node || !x || !w || w.kind === 'param' || x.shape.length !== 2) return undefined;
  const compute = node.attrs.compute === 'bf16' ? 'bf16' : 'f32';
  return { inputs: { a: x, b: w, bias, residual }, attrs: { transposeA: false, transposeB: true, compute } };
}
