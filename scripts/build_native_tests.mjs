// node scripts/build_native_tests.mjs [--sanitize | --tsan] [--engine] [--emulate] [--arm64] [--run] [--bench]: builds the tests of
// kernels and engine (test/native/*_test.cc) and scripts/bench_kernels.cc into build/native-tests/ with the sources and flags of
// native/sources.gypi.
//   --sanitize  with the address and undefined-behaviour sanitizers, into build/native-tests/sanitize/
//   --tsan      with the thread sanitizer, the engine alone, into build/native-tests/tsan/; where the compiler lacks it, skipped with
//               a message, or a failure where the environment variable CI is set
//   --engine    the engine's tests alone: pool, sessions and bursts below N-API
//   --emulate   also tests the AVX-512 levels that this CPU lacks (test/native/simde_avx512.h); needs the SIMDe headers (Debian:
//               libsimde-dev), found through the environment variable SIMDE_INCLUDE or the compiler's own search path; without
//               them it is skipped with a message, or fails where CI is set
//   --arm64     the levels of arm64 from x64, with a cross compiler and without the benchmark, into build/native-tests/arm64/;
//               --run takes qemu-aarch64-static (Debian: g++-aarch64-linux-gnu, qemu-user-static)
//   --run       runs the tests; --bench runs the benchmark
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const options = new Set(process.argv.slice(2));
for (const option of options) {
  if (!['--sanitize', '--tsan', '--engine', '--emulate', '--arm64', '--run', '--bench'].includes(option))
    throw new Error(`unknown option ${option}`);
}
const sanitize = options.has('--sanitize');
const tsan = options.has('--tsan');
const cross = options.has('--arm64');
const exclude = (one, others) => {
  for (const other of others)
    if (options.has(one) && options.has(other)) throw new Error(`${one} does not go with ${other}`);
};
exclude('--arm64', ['--sanitize', '--tsan', '--engine', '--emulate', '--bench']);
exclude('--tsan', ['--sanitize', '--emulate', '--bench']);
exclude('--engine', ['--emulate', '--bench']);
const withKernels = !tsan && !options.has('--engine');
const out = path.join(
  root,
  'build/native-tests',
  cross ? 'arm64' : sanitize ? 'sanitize' : tsan ? 'tsan' : '',
);
mkdirSync(out, { recursive: true });

const { variables } = JSON.parse(readFileSync(path.join(root, 'native/sources.gypi'), 'utf8'));
const isas = cross || process.arch === 'arm64' ? variables.isa_arm64 : variables.isa_x64;
const [cxx, ...cxxArgs] = cross ? ['aarch64-linux-gnu-g++'] : (process.env.CXX ?? 'g++').split(' ');
const common = [
  ...variables.shared_flags,
  ...(sanitize
    ? ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer']
    : tsan
      ? ['-O1', '-g', '-fsanitize=thread', '-fno-omit-frame-pointer']
      : ['-O3']),
  '-I.',
];
/** Skips what this machine lacks, with a message; in CI that is a failure. */
const lacking = (what, why) => {
  if (process.env.CI && process.env.CI !== 'false') {
    console.error(`failed: CI is set, and ${what} cannot be built ${why}`);
    process.exit(1);
  }
  console.log(`skipped: ${what}, ${why}`);
};

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
/** Whether the compiler can link a program with this flag. */
const links = (flag) => {
  try {
    const args = [...cxxArgs, flag, '-x', 'c++', '-', '-o', path.join(out, 'probe')];
    execFileSync(cxx, args, { input: 'int main() {}', stdio: ['pipe', 'ignore', 'ignore'] });
    return true;
  } catch {
    return false;
  }
};

/** Features that Linux lists for this CPU. */
const cpuFlags = existsSync('/proc/cpuinfo')
  ? (/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '').split(' ')
  : [];
const avx512 = ['avx512f', 'avx512bw', 'avx512vl', 'avx512dq'];
/** The levels that are emulated where the CPU lacks them, and what it would have to have. */
const emulable = { avx512, avx512_bf16: [...avx512, 'avx512_vnni', 'avx512_bf16'] };
let emulated = options.has('--emulate') ? Object.keys(emulable) : [];
const skip = (levels, why) => {
  if (levels.length > 0) console.log(`skipped: ${levels.join(', ')} emulated, ${why}`);
  emulated = emulated.filter((isa) => !levels.includes(isa));
};
const native = emulated.filter((isa) => emulable[isa].every((flag) => cpuFlags.includes(flag)));
skip(native, 'this CPU has them: they are tested as they are');
if (process.arch !== 'x64') skip(emulated, `not on ${process.arch}`);
if (emulated.length > 0 && lacksSimde()) {
  const headers =
    'without the SIMDe headers (Debian: libsimde-dev, or the environment variable SIMDE_INCLUDE)';
  lacking(`${emulated.join(', ')} emulated`, headers);
  emulated = [];
}

const families = readdirSync(path.join(root, 'test/native'))
  .filter((name) => /^kernels_.+_test\.cc$/.test(name))
  .map((name) => path.basename(name, '.cc'));

const compileTest = (name) => () => compile(['-c', `test/native/${name}.cc`, '-o', object(name)]);
const jobs = [];
if (withKernels)
  jobs.push(
    ...isas.map((isa) => () => target(isa, isa, variables[`${isa}_flags`])),
    () => compile(['-c', 'kernels/cpu/dispatch.cc', '-o', object('dispatch')]),
    ...['kernels_test', ...families].map(compileTest),
  );
// The engine's own sources, but for what speaks to node; on the scalar kernels, whose memory sanitizers see.
const engine = variables.native_sources
  .filter((file) => file.startsWith('native/'))
  .filter(
    (file) => !/["<](napi\.h|native\/environment\.h)[">]/.test(readFileSync(path.join(root, file), 'utf8')),
  );
const engineObject = (file) => object(`engine_${path.basename(file, '.cc')}`);
const engineTests = ['engine_test', 'pool_test', 'session_test', 'burst_test', 'bpe_test'];
if (!cross) {
  if (tsan && !links('-fsanitize=thread')) {
    lacking('the thread sanitizer', `with ${cxx}`);
    process.exit(0);
  }
  jobs.push(
    ...engine.map((file) => () => compile(['-c', file, '-o', engineObject(file)])),
    ...engineTests.map(compileTest),
  );
  if (!withKernels) jobs.push(() => target('scalar', 'scalar', variables.scalar_flags));
}
if (!cross && withKernels)
  jobs.push(() => compile(['-c', 'scripts/bench_kernels.cc', '-o', object('bench_kernels')]));
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

const link = cross ? ['-static'] : ['-pthread']; // static: qemu then needs no system root
if (withKernels) {
  const objects = [...isas.map(object), object('dispatch'), ...link];
  await compile([
    ...['kernels_test', ...families].map(object),
    ...objects,
    '-o',
    path.join(out, 'kernels_test'),
  ]);
  if (!cross) await compile([object('bench_kernels'), ...objects, '-o', path.join(out, 'bench_kernels')]);
}
if (!cross) {
  const objects = [...engine.map(engineObject), ...[...engineTests, 'scalar'].map(object)];
  await compile([...objects, ...link, '-o', path.join(out, 'engine_test')]);
}
const tests = families.map(object);
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
/** The thread sanitizer of older compilers wants addresses that newer kernels no longer give, unless they are not randomized. */
const runEngine = async () => {
  const fixed = [process.arch === 'x64' ? 'x86_64' : 'aarch64', '-R'];
  const mayFix = tsan && spawnSync('setarch', [...fixed, 'true']).status === 0;
  if (mayFix) await run('setarch', [...fixed, program('engine_test')]);
  else await run(program('engine_test'));
};
if (options.has('--run') && cross) {
  const qemu = (isa) => () => run('qemu-aarch64-static', ['-cpu', 'max', program('kernels_test'), isa]);
  await both(isas.map(qemu));
} else if (options.has('--run')) {
  if (withKernels)
    for (const name of ['', ...emulated.map((isa) => `_${isa}`)]) await run(program(`kernels_test${name}`));
  await runEngine();
}
if (options.has('--bench')) await run(program('bench_kernels'));
