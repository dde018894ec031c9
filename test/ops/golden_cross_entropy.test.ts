import { describe, expect, test } from 'vitest';
import { gradients } from '../../lib/autodiff/gradients.js';
import { runGraph } from '../../lib/exec/run_graph.js';
import { Graph } from '../../lib/ir/graph.js';
import { mul } from '../../lib/ops/binary.js';
import { crossEntropy } from '../../lib/ops/cross_entropy.js';
import { ignoredLabel } from '../../lib/ops/cross_entropy_row.js';
import { reduce } from '../../lib/ops/reduce.js';
import { scalar } from '../../lib/ops/scalar.js';
import { type GoldenTensor, hasGolden, readGolden } from '../golden.js';
import { distance, onnx, places } from '../replay.js';

const smoothings: Readonly<Record<string, number>> = { cross_entropy_ignore: 0, cross_entropy_smooth: 0.1 };

describe.skipIf(!hasGolden('ops'))('golden cross-entropy and its gradient', () => {
  const tensors: Readonly<Record<string, GoldenTensor>> = hasGolden('ops') ? readGolden('ops').tensors : {};
  const tensor = (name: string): GoldenTensor => tensors[name] as GoldenTensor;

  describe.each(places.filter((place) => place !== onnx))('$name', ({ device, isa }) => {
    test.each(Object.entries(smoothings))('%s', async (name, smoothing) => {
      const [logits, labels] = [tensor(`${name}/in0`), tensor(`${name}/in1`)];
      const graph = new Graph();
      const x = graph.input('logits', 'f32', logits.shape);
      const loss = crossEntropy(x, graph.input('labels', 'i32', labels.shape), smoothing);
      const counted = labels.data.filter((label) => label !== ignoredLabel).length;
      const mean = mul(reduce('sum', loss, 0), scalar(loss, 1 / counted));
      graph.output('mean', mean);
      graph.output('dx', gradients(mean, [x])[0] ?? x);
      const on = isa === undefined ? { device } : { device, isa };
      const got = await runGraph(graph, { inputs: { logits, labels }, ...on });
      expect(distance(got.mean?.data ?? [], tensor(`${name}/out0`).data)).toBeLessThan(1e-6);
      expect(distance(got.dx?.data ?? [], tensor(`${name}/grad0`).data)).toBeLessThan(1e-6);
    });

    test('a label that there is none of', async () => {
      const graph = new Graph();
      graph.output('y', crossEntropy(graph.input('x', 'f32', [1, 3]), graph.input('l', 'i32', [1])));
      const inputs = { x: { shape: [1, 3], data: [1, 2, 3] }, l: { shape: [1], data: [3] } };
      const on = isa === undefined ? { device } : { device, isa };
      const run = runGraph(graph, { inputs, ...on });
      if (device === 'cpu') await expect(run).rejects.toThrow(/labels from 0 to 2.*got 3/);
      else expect((await run).y?.data[0]).toBeNaN();
    });
  });
});
