// node scripts/build_native_tests.mjs [--sanitize] [--emulate] [--run] [--bench]: builds test/native/kernels_test.cc and
// scripts/bench_kernels.cc into build/native-tests/ with the sources and flags of native/sources.gypi.
//   --sanitize  with the address and undefined-behaviour sanitizers, into build/native-tests/sanitize/
//   --emulate   also tests the AVX-512 levels on a CPU without them (test/native/simde_avx512.h); needs the SIMDe headers
//               (Debian: libsimde-dev), found through the environment variable SIMDE_INCLUDE or the compiler's own search
//               path, and is skipped with a message without them
//   --run       runs the tests; --bench runs the benchmark
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const options = new Set(process.argv.slice(2));
for (const option of options) {
  if (!['--sanitize', '--emulate', '--run', '--bench'].includes(option))
    throw new Error(`unknown option ${option}`);
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
  compile([
    '-fno-exceptions',
    '-fno-rtti',
    `-DTRIGA_ISA=${isa}`,
    ...flags,
    '-c',
    variables.isa_sources[0],
    '-o',
    object(name),
  ]);

/** Whether the levels that test/native/simde_avx512.h emulates can be built here. */
const canEmulate = () => {
  if (process.arch !== 'x64') return false;
  try {
    const args = [...cxxArgs, ...simdeArgs, '-E', '-x', 'c++', '-include', 'simde/x86/avx512.h', '/dev/null'];
    execFileSync(cxx, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
const simdeArgs = process.env.SIMDE_INCLUDE ? [`-I${process.env.SIMDE_INCLUDE}`] : [];
let emulated = options.has('--emulate') ? ['avx512', 'avx512_bf16'] : [];
if (emulated.length > 0 && !canEmulate()) {
  console.log(
    `skipped: ${emulated.join(', ')} emulated (needs x64 and the SIMDe headers, Debian: libsimde-dev)`,
  );
  emulated = [];
}

const jobs = isas.map((isa) => () => target(isa, isa, variables[`${isa}_flags`]));
jobs.push(
  () => compile(['-c', 'kernels/cpu/dispatch.cc', '-o', object('dispatch')]),
  () => compile(['-c', 'test/native/kernels_test.cc', '-o', object('kernels_test')]),
  () => compile(['-c', 'scripts/bench_kernels.cc', '-o', object('bench_kernels')]),
);
for (const isa of emulated) {
  const flags = [
    ...variables.avx2_flags,
    ...simdeArgs,
    '-Wno-psabi',
    '-include',
    'test/native/simde_avx512.h',
  ];
  if (isa === 'avx512_bf16') flags.push('-DTRIGA_EMULATE_BF16');
  jobs.push(
    () => target(isa, `emulated_${isa}`, flags),
    () =>
      compile([
        `-DTRIGA_EMULATED_TABLE=kernels_${isa}`,
        '-c',
        'test/native/kernels_test.cc',
        '-o',
        object(`test_${isa}`),
      ]),
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
  await compile([
    object(`test_${isa}`),
    object(`emulated_${isa}`),
    '-o',
    path.join(out, `kernels_test_${isa}`),
  ]);
}

const run = (name) => execFileSync(path.join(out, name), { cwd: root, stdio: 'inherit' });
if (options.has('--run'))
  for (const name of ['', ...emulated.map((isa) => `_${isa}`)]) run(`kernels_test${name}`);
if (options.has('--bench')) run('bench_kernels');
