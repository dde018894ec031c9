import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { availableIsas } from '../../lib/testing.js';
import { writeCheckpoint } from '../models/tiny_checkpoint.js';
import { describeUnless, generate, missing, tinyModel } from './foreign.js';

// The binary in build/, as it is, on older CPUs. qemu 7.2 has none with AVX-512.
const qemu = 'qemu-x86_64-static';
const native = [process.execPath];
const on = (cpu: string): string[] => [qemu, '-cpu', cpu, process.execPath];

describeUnless(missing({ [qemu]: 'qemu-user-static' }), 'the x64 binary on older CPUs', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await writeCheckpoint(tinyModel());
  });
  afterAll(() => rm(directory, { recursive: true }));

  test.each([
    ['core2duo', ['scalar']],
    ['Nehalem', ['scalar']],
    ['SandyBridge', ['scalar']], // AVX without AVX2
    ['Haswell,-fma', ['scalar']],
    ['Haswell,-f16c', ['scalar']],
    ['Haswell,-xsave', ['scalar']], // an operating system that saves no wide registers
    ['Haswell', ['avx2', 'scalar']],
  ])('levels of a %s: %j', async (cpu, isas) => {
    expect((await generate(on(cpu), [directory])).isas).toEqual(isas);
  });

  test.skipIf(!availableIsas().includes('avx2')).each([
    ['Nehalem', 'scalar', 'avx2'],
    ['Haswell', 'avx2', 'avx512'],
  ])('a %s runs %s, bit for bit as this CPU does', async (cpu, isa, beyond) => {
    const there = await generate(on(cpu), [directory, 'auto', beyond]);
    const here = await generate(native, [directory, isa]);
    const refused = { code: 'DEVICE_UNAVAILABLE', message: expect.stringContaining(isa) };
    expect(here.runs[0]).toMatchObject({ f32: { isa }, bf16: { isa } });
    expect(there.runs).toEqual([here.runs[0], { f32: refused, bf16: refused }]);
  });
});
