import { describe, expect, test } from 'vitest';
import { verify } from '../../lib/ir/verify.js';
import { type GoldenTensor, hasGolden, readGolden } from '../golden.js';
import { places, run } from '../replay.js';
import { pagedLayers } from './golden/layers.js';
import type { Build } from './golden/operands.js';
import { builds, type GoldenOps, goldenGraph } from './golden/program.js';

/** Golden entries that ops and issues to come are for, by what they wait for. */
const later: Readonly<Record<string, RegExp>> = {
  'convolution, pooling, padding and patches':
    /^(conv1d|conv3d|conv_transpose|conv2d_k5d2|max_pool2d_ceil|avg_pool2d_nopad|adaptive_avg_pool|unfold|pad_re)/,
  'resampling of images': /^(interpolate_(?!nearest_x2)|grid_sample)/,
  'recurrent networks': /^(lstm|gru)/,
  'optimizers of which golden_optimizers.test.ts has some, schedules and clipping': /^(opt_|lr_|clip_grad)/,
  'sorting and searching': /^(sort_desc|topk_4|vq_straight_through)$/,
  'audio: Fourier transform, alignment': /^(stft_mag|ctc)$/,
};

describe.skipIf(!hasGolden('ops'))('golden ops', () => {
  const golden = hasGolden('ops') ? readGolden<GoldenOps>('ops') : undefined;
  const names = Object.keys(golden?.json.ops ?? {});

  async function largestError(name: string, build: Build, place: (typeof places)[number]): Promise<number> {
    const tensor = (key: string): GoldenTensor => golden?.tensors[`${name}/${key}`] as GoldenTensor;
    const program = goldenGraph(build, (i) => tensor(`in${i}`));
    verify(program.graph);
    const { y } = await run(program, place);
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
