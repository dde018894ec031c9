import { describe, expect, test } from 'vitest';
import type { DType } from '../../lib/dtype.js';
import { Graph } from '../../lib/ir/graph.js';
import type { Value } from '../../lib/ir/value.js';
import { fusedLinear } from '../../lib/ops/fused_linear.js';
import { layerNorm } from '../../lib/ops/layer_norm.js';
import { linear } from '../../lib/ops/linear.js';
import { quantizeRows } from '../../lib/ops/quantize_rows.js';
import { quantizedLinear } from '../../lib/ops/quantized_linear.js';
import { rmsNorm } from '../../lib/ops/rms_norm.js';
import { availableIsas } from '../../lib/testing.js';
import { floats, named } from '../random.js';
import { bits, compile, joined, mostRows, type Place, parting, rowCounts } from './bits.js';

const types: readonly DType[] = ['f32', 'f16', 'bf16'];
const places = availableIsas().flatMap((isa) => [1, 2, 3].map((threads) => ({ isa, threads })));

/** Ops that treat rows alike: from x [T, K]. */
const rowOps: Readonly<
  Record<string, { readonly k: number; readonly build: (g: Graph, x: Value) => Value }>
> = {
  ...Object.fromEntries(
    types.flatMap((dtype) => [
      [
        `linear ${dtype}`,
        {
          k: 333,
          build: (g: Graph, x: Value) =>
            linear(x, g.param('w', dtype, [200, 333]), g.param('b', 'f32', [200])),
        },
      ],
      [
        `gated ${dtype}`,
        {
          k: 60,
          build: (g: Graph, x: Value) =>
            fusedLinear(
              { x, w0: g.param('w0', dtype, [180, 60]), w1: g.param('w1', dtype, [180, 60]) },
              { combine: 'gate', activation: 'silu' },
            ),
        },
      ],
      [
        `side by side ${dtype}`,
        {
          k: 129,
          build: (g: Graph, x: Value) =>
            fusedLinear(
              {
                x,
                w0: g.param('w0', dtype, [20, 129]),
                w1: g.param('w1', dtype, [33, 129]),
                w2: g.param('w2', dtype, [150, 129]),
              },
              { combine: 'concat', activation: 'none' },
            ),
        },
      ],
      [
        `residual ${dtype}`,
        {
          k: 100,
          build: (g: Graph, x: Value) =>
            fusedLinear(
              { x, w0: g.param('w0', dtype, [100, 100]), residual: x },
              { combine: 'one', activation: 'gelu' },
            ),
        },
      ],
    ]),
  ),
  'linear q8': {
    k: 333,
    build: (g, x) => {
      const { q, scale } = quantizeRows(x);
      return quantizedLinear(q, scale, g.param('w', 'q8', [200, 333]), g.param('b', 'f32', [200]));
    },
  },
  'gated q8 after a norm': {
    k: 60,
    build: (g, x) => {
      const { q, scale } = quantizeRows(rmsNorm(x, g.param('n', 'f32', [60]), 1e-6));
      const [w0, w1] = ['w0', 'w1'].map((name) => g.param(name, 'q8', [180, 60])) as [Value, Value];
      return fusedLinear({ x: q, x_scale: scale, w0, w1 }, { combine: 'gate', activation: 'silu' });
    },
  },
  'residual q8': {
    k: 100,
    build: (g, x) => {
      const { q, scale } = quantizeRows(x);
      return fusedLinear(
        { x: q, x_scale: scale, w0: g.param('w0', 'q8', [100, 100]), residual: x },
        { combine: 'one', activation: 'gelu' },
      );
    },
  },
  rms_norm: { k: 333, build: (g, x) => rmsNorm(x, g.param('n', 'f32', [333]), 1e-6) },
  layer_norm: {
    k: 200,
    build: (g, x) => layerNorm(x, g.param('n', 'f32', [200]), g.param('b', 'f32', [200]), 1e-5),
  },
};

describe.each(places)('rows keep their bits on $isa, $threads threads', (place) => {
  test.each(Object.entries(rowOps))('%s', async (name, { k, build }) => {
    const graph = new Graph();
    graph.output('y', build(graph, graph.input('x', 'f32', ['T', k])));
    const { executable, session } = await compile(graph, place);
    const x = Float32Array.from(floats(named(name), mostRows * k));
    const run = async (from: number, rows: number): Promise<Int32Array> => {
      const { y } = await executable.run({
        inputs: { x: x.slice(from * k, (from + rows) * k) },
        bindings: { T: rows },
      });
      return bits(y);
    };
    const alone = await rowsAlone(name, place, run);
    const width = alone.length / mostRows;
    for (const rows of rowCounts) {
      for (const from of [0, mostRows - rows]) {
        const want = alone.subarray(from * width, (from + rows) * width);
        expect(parting(await run(from, rows), want, width), `${rows} rows from ${from}`).toBeUndefined();
      }
    }
    await session.dispose();
  });
});

const known = new Map<string, Int32Array>();
/** The bits of each row by itself, by one thread: what all numbers of rows and threads must give. */
async function rowsAlone(
  name: string,
  { isa }: Place,
  run: (from: number, rows: number) => Promise<Int32Array>,
): Promise<Int32Array> {
  const key = `${isa} ${name}`;
  const before = known.get(key);
  if (before) return before;
  const rows: Int32Array[] = [];
  for (let t = 0; t < mostRows; t++) rows.push(await run(t, 1));
  known.set(key, joined(rows));
  return joined(rows);
}
