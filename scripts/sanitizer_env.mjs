import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * The environment in which node loads the addon of `npm run build:asan`: node itself is not instrumented, so the run-time
 * libraries come first by LD_PRELOAD. What V8 leaves to the end of the process would count as leaks.
 */
export function sanitizerEnv() {
  const library = (name) => execFileSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();
  return {
    TRIGA_PREBUILD: fileURLToPath(new URL('../.asan', import.meta.url)),
    LD_PRELOAD: `${library('libasan.so')}:${library('libubsan.so')}`,
    ASAN_OPTIONS: 'detect_leaks=0',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  };
}
