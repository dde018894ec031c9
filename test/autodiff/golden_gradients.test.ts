import { describe, expect, test } from 'vitest';
import { gradients } from '../../lib/autodiff/gradients.js';
import { evalShape } from '../../lib/ir/shape.js';
import type { Value } from '../../lib/ir/value.js';
import { verify } from '../../lib/ir/verify.js';
import { type GoldenTensor, hasGolden, readGolden } from '../golden.js';
import { builds, type GoldenOps, goldenGraph } from '../ops/golden/program.js';
import { cpuPlaces, reference, run } from '../replay.js';
import { weights } from './finite_differences.js';

const golden = hasGolden('ops') ? readGolden<GoldenOps>('ops') : undefined;
const tensor = (key: string): GoldenTensor => golden?.tensors[key] as GoldenTensor;

/** The gradients that an entry has: of its k-th floating operand, as 'grad<k>'. */
function wanted(name: string): { readonly key: string; readonly operand: number }[] {
  const tensors = golden?.json.tensors ?? {};
  const operands = Object.keys(tensors)
    .filter((key) => key.startsWith(`${name}/in`))
    .map((key) => Number(key.slice(name.length + 3)))
    .sort((a, b) => a - b)
    .filter((i) => tensors[`${name}/in${i}`]?.dtype?.startsWith('float'));
  return operands
    .map((operand, k) => ({ key: `grad${k}`, operand }))
    .filter(({ key }) => `${name}/${key}` in tensors);
}

describe.skipIf(!golden)('golden gradients', () => {
  const names = Object.keys(builds).filter((name) => wanted(name).length > 0);
  const graphOf = (name: string) =>
    goldenGraph(builds[name] as (typeof builds)[string], (i) => tensor(`${name}/in${i}`));

  describe.each([reference, ...cpuPlaces])('$name', (place) => {
    test.each(names)('%s', async (name) => {
      const { graph, y, operands, feed } = graphOf(name);
      const shape = evalShape(y.shape, {});
      const seed = graph.constant('f32', shape, weights(shape.reduce((n, d) => n * d, 1)));
      const pairs = wanted(name);
      const found = gradients(
        y,
        pairs.map(({ operand }) => operands.get(operand) as Value),
        { seed },
      );
      pairs.forEach(({ key }, i) => {
        graph.output(key, found[i] as Value);
      });
      verify(graph);
      const results = await run({ graph, feed }, place);
      for (const { key } of pairs) {
        const want = tensor(`${name}/${key}`).data;
        const got = results[key]?.data ?? [];
        expect(got.length).toBe(want.length);
        const worst = want.reduce((most, w, i) => Math.max(most, Math.abs((got[i] as number) - w)), 0);
        expect(worst, key).toBeLessThanOrEqual(golden?.json.tensors[`${name}/${key}`]?.suggest_atol ?? 0);
      }
    });
  });
});
