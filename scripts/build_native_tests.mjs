// node scripts/build_native_tests.mjs [--sanitize] [--emulate] [--arm64] [--run] [--bench]: builds test/native/kernels_*test.cc
// and scripts/bench_kernels.cc into build/native-tests/ with the sources and flags of native/sources.gypi.
//   --sanitize  with the address and undefined-behaviour sanitizers, into build/native-tests/sanitize/
//   --emulate   also tests the AVX-512 levels on a CPU without them (test/native/simde_avx512.h); needs the SIMDe headers
//               (Debian: libsimde-dev), found through the environment variable SIMDE_INCLUDE or the compiler's own search
//               path; without them it is skipped with a message, or fails where the environment variable CI is set
//   --arm64     the levels of arm64 from x64, with a cross compiler and without the benchmark, into build/native-tests/arm64/;
//               --run takes qemu-aarch64-static (Debian: g++-aarch64-linux-gnu, qemu-user-static)
//   --run       runs the tests; --bench runs the benchmark
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const options = new Set(process.argv.slice(2));
for (const option of options) {
  if (!['--sanitize', '--emulate', '--arm64', '--run', '--bench'].includes(option))
    throw new Error(`unknown option ${option}`);
}
const sanitize = options.has('--sanitize');
const cross = options.has('--arm64');
for (const option of ['--sanitize', '--emulate', '--bench'])
  if (cross && options.has(option)) throw new Error(`--arm64 does not go with ${option}`);
const out = path.join(root, 'build/native-tests', cross ? 'arm64' : sanitize ? 'sanitize' : '');
mkdirSync(out, { recursive: true });

const { variables } = JSON.parse(readFileSync(path.join(root, 'native/sources.gypi'), 'utf8'));
const isas = cross || process.arch === 'arm64' ? variables.isa_arm64 : variables.isa_x64;
const [cxx, ...cxxArgs] = cross ? ['aarch64-linux-gnu-g++'] : (process.env.CXX ?? 'g++').split(' ');
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
      code === 0 ? resolve(undefined) : reject(new Error(`${cxx} failed on ${args.join(' ')}`)),
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

const simdeArgs = process.env.SIMDE_INCLUDE ? [`-I${process.env.SIMDE_INCLUDE}`] : [];
const lacksSimde = () => {
  try {
    const args = [...cxxArgs, ...simdeArgs, '-E', '-x', 'c++', '-include', 'simde/x86/avx512.h', '/dev/null'];
    execFileSync(cxx, args, { stdio: 'ignore' });
    return false;
  } catch {
    return true;
  }
};
const hasThemItself = () => {
  try {
    return /^flags.*\bavx512_vnni\b.*\bavx512_bf16\b|^flags.*\bavx512_bf16\b.*\bavx512_vnni\b/m.test(
      readFileSync('/proc/cpuinfo', 'utf8'),
    );
  } catch {
    return false;
  }
};
let emulated = options.has('--emulate') ? ['avx512', 'avx512_bf16'] : [];
const skip = (why) => {
  console.log(`skipped: ${emulated.join(', ')} emulated, ${why}`);
  emulated = [];
};
if (emulated.length > 0) {
  const headers =
    'without the SIMDe headers (Debian: libsimde-dev, or the environment variable SIMDE_INCLUDE)';
  if (process.arch !== 'x64') skip(`not on ${process.arch}`);
  else if (hasThemItself()) skip('this CPU has them itself');
  else if (lacksSimde()) {
    if (process.env.CI && process.env.CI !== 'false') {
      console.error(`failed: CI is set, and ${emulated.join(', ')} cannot be emulated ${headers}`);
      process.exit(1);
    }
    skip(headers);
  }
}

const families = readdirSync(path.join(root, 'test/native'))
  .filter((name) => /^kernels_.+_test\.cc$/.test(name))
  .map((name) => path.basename(name, '.cc'));

const jobs = isas.map((isa) => () => target(isa, isa, variables[`${isa}_flags`]));
jobs.push(
  () => compile(['-c', 'kernels/cpu/dispatch.cc', '-o', object('dispatch')]),
  ...['kernels_test', ...families].map(
    (name) => () => compile(['-c', `test/native/${name}.cc`, '-o', object(name)]),
  ),
);
if (!cross) jobs.push(() => compile(['-c', 'scripts/bench_kernels.cc', '-o', object('bench_kernels')]));
for (const isa of emulated) {
  const flags = [
    ...variables.avx2_flags,
    ...simdeArgs,
    '-Wno-psabi',
    '-include',
    'test/native/simde_avx512.h',
  ];
  if (isa === 'avx512_bf16') flags.push('-DTRIGA_EMULATE_BF16');
  const table = `-DTRIGA_EMULATED_TABLE=kernels_${isa}`;
  jobs.unshift(() => target(isa, `emulated_${isa}`, flags)); // by far the longest
  jobs.push(() => compile([table, '-c', 'test/native/kernels_test.cc', '-o', object(`test_${isa}`)]));
}

/** Two at a time. */
const both = async (queue) => {
  const worker = async () => {
    for (let job = queue.shift(); job; job = queue.shift()) await job();
  };
  await Promise.all([worker(), worker()]);
};
await both(jobs);

const objects = [...isas.map(object), object('dispatch')];
const tests = families.map(object);
const link = cross ? ['-static'] : ['-pthread']; // static: qemu then needs no system root
await compile([object('kernels_test'), ...tests, ...objects, ...link, '-o', path.join(out, 'kernels_test')]);
if (!cross)
  await compile([object('bench_kernels'), ...objects, ...link, '-o', path.join(out, 'bench_kernels')]);
for (const isa of emulated) {
  await compile([
    object(`test_${isa}`),
    ...tests,
    object(`emulated_${isa}`),
    '-o',
    path.join(out, `kernels_test_${isa}`),
  ]);
}

const run = (command, args = []) =>
  new Promise((resolve, reject) => {
    spawn(command, args, { cwd: root, stdio: 'inherit' })
      .on('error', reject)
      .on('exit', (code) =>
        code === 0 ? resolve(undefined) : reject(new Error(`${command} ${args.join(' ')} failed`)),
      );
  });
const program = (name) => path.join(out, name);
if (options.has('--run') && cross) {
  const qemu = (isa) => () => run('qemu-aarch64-static', ['-cpu', 'max', program('kernels_test'), isa]);
  await both(isas.map(qemu));
} else if (options.has('--run')) {
  for (const name of ['', ...emulated.map((isa) => `_${isa}`)]) await run(program(`kernels_test${name}`));
}
if (options.has('--bench')) await run(program('bench_kernels'));
