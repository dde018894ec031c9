import { defineConfig } from 'vitest/config';

// `--mode cpus` is the long tests of foreign CPUs, which want emulators: `npm run test:cpus`.
export default defineConfig(({ mode }) => ({
  test: {
    include: mode === 'cpus' ? ['test/cpus/*.test.ts'] : ['test/**/*.test.ts'],
    exclude: mode === 'cpus' ? [] : ['test/cpus/**'],
    testTimeout: 60_000,
  },
}));
