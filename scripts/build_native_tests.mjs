// node scripts/build_native_tests.mjs [--sanitize] [--emulate] [--run] [--bench]: builds test/native/kernels_test.cc and
// scripts/bench_kernels.cc into build/native-tests/ with the sources and flags of native/sources.gypi.
//   --sanitize  with the address and undefined-behaviour sanitizers, into build/native-tests/sanitize/
//   --emulate   also tests the AVX-512 levels on a CPU without them; needs the SIMDe headers (Debian: libsimde-dev), found
//               through the environment variable SIMDE_INCLUDE or the compiler's own search path
//   --run       runs the tests; --bench runs the benchmark
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const options = new Set(process.argv.slice(2));
for (const option of options) {
  if (!['--sanitize', '--emulate', '--run', '--bench'].includes(option)) throw new Error(`unknown option ${option}`);
}
const sanitize = options.has('--sanitize');
const out = path.join(root, 'build/native-tests', sanitize ? 'sanitize' : '');
mkdirSync(out, { recursive: true });

const { variables } = JSON.parse(readFileSync(path.join(root, 'native/sources.gypi'), 'utf8'));
const isas = process.arch === 'arm64' ? variables.isa_arm64 : variables.isa_x64;
const [cxx, ...cxxArgs] = (process.env.CXX ?? 'g++').split(' ');
const common = [
  ...variables.shared_flags,
  ...(sanitize
    ? ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer']
    : ['-O3']),
  '-I.',
];

/** Runs the compiler from the repository root. */
const compile = (args) =>
  new Promise((resolve, reject) => {
    spawn(cxx, [...cxxArgs, ...common, ...args], { cwd: root, stdio: 'inherit' }).on('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${cxx} failed on ${args.join(' ')}`)),
    );
  });
const object = (name) => path.join(out, `${name}.o`);
const target = (isa, name, flags) =>
  compile(['-fno-exceptions', '-fno-rtti', `-DTRIGA_ISA=${isa}`, ...flags, '-c', variables.isa_sources[0], '-o', object(name)]);

/** A header that gives target.cc the AVX-512 intrinsics: SIMDe's, and by hand those that Debian 12's lacks or has wrong. */
const emulation = (isa) => `#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#define TRIGA_EMULATED_INTRINSICS
#include <string.h>
static inline __m512 triga_maskz_loadu(unsigned m, const void* p) {
  float t[16];
  for (int i = 0; i < 16; ++i) t[i] = m >> i & 1 ? ((const float*)p)[i] : 0;
  return _mm512_loadu_ps(t);
}
static inline void triga_mask_storeu(void* p, unsigned m, __m512 v) {
  float t[16];
  _mm512_storeu_ps(t, v);
  for (int i = 0; i < 16; ++i) if (m >> i & 1) ((float*)p)[i] = t[i];
}
static inline __m256 triga_upper(__m512 v) {
  float t[16];
  _mm512_storeu_ps(t, v);
  return _mm256_loadu_ps(t + 8);
}
#define _mm512_extractf32x8_ps(v, i) triga_upper(v)
static inline __m512 triga_halves(__m256 lo, __m256 hi) {
  float t[16];
  _mm256_storeu_ps(t, lo);
  _mm256_storeu_ps(t + 8, hi);
  return _mm512_loadu_ps(t);
}
static inline __m256 triga_lower(__m512 v) {
  float t[16];
  _mm512_storeu_ps(t, v);
  return _mm256_loadu_ps(t);
}
static inline __m512i triga_widen(__m256i v) {
  unsigned short h[16];
  unsigned t[16];
  memcpy(h, &v, 32);
  for (int i = 0; i < 16; ++i) t[i] = h[i];
  return _mm512_loadu_si512(t);
}
static inline __m256i triga_narrow(__m512i v) {
  unsigned short h[16];
  unsigned t[16];
  _mm512_storeu_si512(t, v);
  for (int i = 0; i < 16; ++i) h[i] = t[i];
  __m256i r;
  memcpy(&r, h, 32);
  return r;
}
#define _mm512_cvtepu16_epi32 triga_widen
#define _mm512_cvtepi32_epi16 triga_narrow
#include <math.h>
static inline __m512 triga_scalef(__m512 a, __m512 n) {
  float t[16], u[16];
  _mm512_storeu_ps(t, a);
  _mm512_storeu_ps(u, n);
  for (int i = 0; i < 16; ++i) t[i] = u[i] == u[i] ? ldexpf(t[i], (int)u[i]) : u[i];
  return _mm512_loadu_ps(t);
}
#undef _mm512_scalef_ps
#define _mm512_scalef_ps triga_scalef
#define _mm512_cvtph_ps(v) triga_halves(_mm256_cvtph_ps(_mm256_castsi256_si128(v)), _mm256_cvtph_ps(_mm256_extracti128_si256(v, 1)))
#define _mm512_cvtps_ph(v, r) _mm256_set_m128i(_mm256_cvtps_ph(triga_upper(v), r), _mm256_cvtps_ph(triga_lower(v), r))
#define _mm512_maskz_loadu_ps triga_maskz_loadu
#define _mm512_mask_storeu_ps(p, m, v) triga_mask_storeu(p, m, v)
#define __AVX512F__ 1
${isa === 'avx512_bf16' ? '#define __AVX512BF16__ 1' : ''}
`;

const jobs = isas.map((isa) => () => target(isa, isa, variables[`${isa}_flags`]));
jobs.push(
  () => compile(['-c', 'kernels/cpu/dispatch.cc', '-o', object('dispatch')]),
  () => compile(['-c', 'test/native/kernels_test.cc', '-o', object('kernels_test')]),
  () => compile(['-c', 'scripts/bench_kernels.cc', '-o', object('bench_kernels')]),
);
const emulated = options.has('--emulate') ? ['avx512', 'avx512_bf16'] : [];
for (const isa of emulated) {
  const shim = path.join(out, `emulate_${isa}.h`);
  writeFileSync(shim, emulation(isa));
  const include = process.env.SIMDE_INCLUDE ? [`-I${process.env.SIMDE_INCLUDE}`] : [];
  jobs.push(
    () => target(isa, `emulated_${isa}`, [...variables.avx2_flags, ...include, '-w', '-include', shim]),
    () => compile([`-DTRIGA_EMULATED_TABLE=kernels_${isa}`, '-c', 'test/native/kernels_test.cc', '-o', object(`test_${isa}`)]),
  );
}

const worker = async () => {
  for (let job = jobs.shift(); job; job = jobs.shift()) await job();
};
await Promise.all([worker(), worker()]);

const objects = [...isas.map(object), object('dispatch')];
await compile([object('kernels_test'), ...objects, '-o', path.join(out, 'kernels_test')]);
await compile([object('bench_kernels'), ...objects, '-pthread', '-o', path.join(out, 'bench_kernels')]);
for (const isa of emulated) {
  await compile([object(`test_${isa}`), object(`emulated_${isa}`), '-o', path.join(out, `kernels_test_${isa}`)]);
}

const run = (name) => execFileSync(path.join(out, name), { cwd: root, stdio: 'inherit' });
if (options.has('--run')) for (const name of ['', ...emulated.map((isa) => `_${isa}`)]) run(`kernels_test${name}`);
if (options.has('--bench')) run('bench_kernels');
