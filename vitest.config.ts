import { defineConfig } from 'vitest/config';

/** Long suites, each with a mode of its own; all else is the default. */
const suites: Readonly<Record<string, object>> = {
  // Foreign CPUs, which want emulators: `npm run test:cpus`.
  cpus: { include: ['test/cpus/*.test.ts'], testTimeout: 300_000, hookTimeout: 300_000 },
  // The promises of docs/CONFORMANCE.md, one after the other, as some of them are timed: `npm run conformance`.
  conformance: {
    include: [
      'test/conformance/**/*.test.ts',
      'test/generate/{life_cycle,serving,streaming}.test.ts',
      'test/exec/available_memory.test.ts',
    ],
    globalSetup: 'test/conformance/scratch_folder.ts',
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
};

export default defineConfig(({ mode }) => ({
  test: suites[mode] ?? {
    include: ['test/**/*.test.ts'],
    exclude: ['test/cpus/**', 'test/conformance/**'],
    testTimeout: 60_000,
  },
}));
