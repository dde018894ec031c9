import { describe, expect, test } from 'vitest';
import { Graph } from '../../lib/ir/graph.js';
import type { Value } from '../../lib/ir/value.js';
import { verify } from '../../lib/ir/verify.js';
import { type GoldenTensor, hasGolden, readGolden } from '../golden.js';
import { type Program, places, run } from '../replay.js';
import { elementwise } from './golden/elementwise.js';
import { layers, pagedLayers } from './golden/layers.js';
import { layout } from './golden/layout.js';
import { losses } from './golden/losses.js';
import type { Build } from './golden/operands.js';

const builds: Readonly<Record<string, Build>> = { ...elementwise, ...layout, ...losses, ...layers };

/** Golden entries that ops and issues to come are for, by what they wait for. */
const later: Readonly<Record<string, RegExp>> = {
  'convolution, pooling, padding and patches': /^(conv|max_pool|avg_pool|adaptive_avg_pool|unfold|pad_re)/,
  'resampling of images': /^(interpolate|grid_sample)/,
  'recurrent networks': /^(lstm|gru)/,
  'optimizers of which golden_optimizers.test.ts has some, schedules and clipping': /^(opt_|lr_|clip_grad)/,
  'sorting and searching': /^(sort_desc|topk_4|vq_straight_through)$/,
  'audio: Fourier transform, alignment': /^(stft_mag|ctc)$/,
};

interface GoldenJson {
  readonly ops: Readonly<Record<string, unknown>>;
  readonly tensors: Readonly<Record<string, { readonly suggest_atol?: number }>>;
}

/** The graph of an entry, fed with its inputs. */
function programOf(build: Build, tensor: (i: number) => GoldenTensor): Program {
  const graph = new Graph();
  const inputs: Record<string, GoldenTensor> = {};
  const params: Record<string, GoldenTensor> = {};
  const leaf = (i: number, dtype: 'f32' | 'i32', kind: 'input' | 'param'): Value => {
    const name = `${kind}.${dtype}.${i}`;
    (kind === 'param' ? params : inputs)[name] = tensor(i);
    return graph[kind](name, dtype, tensor(i).shape);
  };
  const y = build({
    graph,
    x: (i) => leaf(i, 'f32', 'input'),
    ids: (i) => leaf(i, 'i32', 'input'),
    param: (i) => leaf(i, 'f32', 'param'),
    numbers: (i) => Array.from(tensor(i).data),
  });
  graph.output('y', y);
  verify(graph);
  return { graph, feed: { inputs, params } };
}

describe.skipIf(!hasGolden('ops'))('golden ops', () => {
  const golden = hasGolden('ops') ? readGolden<GoldenJson>('ops') : undefined;
  const names = Object.keys(golden?.json.ops ?? {});

  async function largestError(name: string, build: Build, place: (typeof places)[number]): Promise<number> {
    const tensor = (key: string): GoldenTensor => golden?.tensors[`${name}/${key}`] as GoldenTensor;
    const { y } = await run(
      programOf(build, (i) => tensor(`in${i}`)),
      place,
    );
    const want = tensor('out0').data;
    const got = y?.data ?? [];
    expect(got.length).toBe(want.length);
    return want.reduce((worst, w, i) => Math.max(worst, Math.abs((got[i] as number) - w)), 0);
  }
  const atol = (name: string): number => golden?.json.tensors[`${name}/out0`]?.suggest_atol ?? 0;

  test('every entry is tested here or waits for a later issue, and no entry is named that is not there', () => {
    const waiting = names.filter((name) => Object.values(later).some((pattern) => pattern.test(name)));
    expect([...Object.keys(builds), ...waiting].sort()).toEqual([...names].sort());
  });

  describe.each(places)('$name', (place) => {
    test.each(Object.entries(builds))('%s', async (name, build) => {
      expect(await largestError(name, build, place)).toBeLessThanOrEqual(atol(name));
    });
    test.each(Object.entries(pagedLayers))('%s through the cache', async (name, build) => {
      expect(await largestError(name, build, place)).toBeLessThanOrEqual(atol(name));
    });
  });
});
