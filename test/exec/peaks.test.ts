import { describe, expect, test } from 'vitest';
import { Peaks } from '../../lib/exec/peaks.js';
import { availableIsas } from '../../lib/testing.js';

const bytes = 32 * 2 ** 20;

describe.each(availableIsas())('peaks of %s', (isa) => {
  test('are rates', async () => {
    const peaks = await Peaks.open({ isa, threads: 2, bytes });
    // No machine that runs this reads below 0.1 GB/s or above 10 TB/s, and none computes below 0.1 GFLOP/s.
    const gbps = await peaks.readGBps();
    expect(gbps).toBeGreaterThan(0.1);
    expect(gbps).toBeLessThan(10_000);
    expect(await peaks.computeGops('fma')).toBeGreaterThan(0.1);
    if (isa === 'avx512_bf16' || isa === 'avx512_amx')
      expect(await peaks.computeGops('dot')).toBeGreaterThan(0.1);
    else
      await expect(peaks.computeGops('dot')).rejects.toThrow(/expected an instruction that this level has/);
    peaks.dispose();
  });

  test('an abort ends them', async () => {
    const peaks = await Peaks.open({ isa, threads: 1, bytes });
    const signal = AbortSignal.abort();
    await expect(peaks.readGBps(signal)).rejects.toMatchObject({ name: 'AbortError' });
    await expect(peaks.computeGops('fma', signal)).rejects.toMatchObject({ name: 'AbortError' });
    peaks.dispose();
  });
});
