// node scripts/check.mjs SUITE [vitest arguments]: runs every step of a suite, also after a step that failed, and closes with
// a line 'N passed, N failed': the tests that vitest's JSON report counts and, one each, the other steps. What the report
// cannot name (a file that does not load, a crashed worker, an unhandled rejection) counts as one failure at least.
// SUITE `total` closes with the sum of what the suites left in .results/.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { sanitizerEnv } from './sanitizer_env.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const results = path.join(root, '.results');

const npm = (script) => ({
  name: script,
  run: () => tally(spawn('npm', ['run', '--silent', script], {}, process.platform === 'win32')),
});
const node = (...args) => ({
  name: args.join(' '),
  run: () => tally(spawn(process.execPath, args, {}, false)),
});
const vitest = (name, args, env = () => ({})) => ({ name, run: () => runVitest(name, args, env()) });

const malformedFiles = ['--mode', 'conformance', 'test/conformance/malformed'];
const suites = {
  test: () => [
    npm('build'),
    npm('lint'),
    npm('typecheck'),
    npm('knip'),
    npm('publint'),
    vitest('vitest', process.argv.slice(3)),
  ],
  kernels: () => [node('scripts/build_native_tests.mjs', '--emulate', '--run')],
  cpus: () => [npm('build'), vitest('vitest-cpus', ['--mode', 'cpus', ...process.argv.slice(3)])],
  conformance: () => [
    npm('build'),
    vitest('vitest-conformance', ['--mode', 'conformance', ...process.argv.slice(3)]),
  ],
  asan: () => [
    npm('build:asan'),
    vitest(
      'vitest-asan',
      ['test/native', 'test/exec', 'test/models', 'test/generate/life_cycle', ...process.argv.slice(3)],
      sanitizerEnv,
    ),
    vitest('vitest-asan-malformed', malformedFiles, sanitizerEnv),
    node('scripts/build_native_tests.mjs', '--engine', '--sanitize', '--run'),
  ],
  tsan: () => [node('scripts/build_native_tests.mjs', '--tsan', '--run')],
  malformed: () => [npm('build'), vitest('vitest-malformed', [...malformedFiles, ...process.argv.slice(3)])],
  pack: () => [npm('build'), npm('pack:check')],
  full: () => [
    ...suites.kernels(),
    ...suites.cpus(),
    ...suites.conformance(),
    ...suites.asan(),
    ...suites.tsan(),
    ...suites.pack(),
  ],
};

const suite = process.argv[2] ?? '';
if (suite === 'total') {
  const counts = readdirSync(results).map((name) => readJson(path.join(results, name)));
  close(counts.reduce(add, { passed: 0, failed: 0, skipped: 0 }));
} else if (suite in suites) {
  mkdirSync(results, { recursive: true });
  let sum = { passed: 0, failed: 0, skipped: 0 };
  const summary = [];
  for (const { name, run } of suites[suite]()) {
    console.log(`\n# ${name}`);
    const start = performance.now();
    const count = run();
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    summary.push(`${count.failed ? 'FAILED' : 'ok'}\t${seconds} s\t${name}`);
    sum = add(sum, count);
  }
  writeFileSync(path.join(results, `${suite}.json`), JSON.stringify(sum));
  console.log(`\n${summary.join('\n')}`);
  close(sum);
} else {
  console.error(`check.mjs: expected one of ${Object.keys(suites).join(', ')}, total; got '${suite}'`);
  process.exitCode = 2;
}

function close({ passed, failed, skipped }) {
  if (skipped) console.log(`${skipped} skipped`);
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed ? 1 : 0;
}

function runVitest(name, args, env) {
  const report = path.join(root, 'node_modules', `.${name}.json`);
  rmSync(report, { force: true });
  const cli = path.join(root, 'node_modules/vitest/vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const ok = spawn(process.execPath, [cli, 'run', ...reporters, ...args], env, false);
  const json = readJson(report);
  if (!json) return { passed: 0, failed: 1, skipped: 0 };
  const cases = json.testResults.flatMap((file) => file.assertionResults.map((test) => test.status));
  const broken = json.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const passed = cases.filter((status) => status === 'passed').length;
  const failed = cases.filter((status) => status === 'failed').length + broken;
  return {
    passed,
    failed: ok ? failed : Math.max(failed, 1),
    skipped: cases.length - passed - (failed - broken),
  };
}

function spawn(command, args, env, shell) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
    shell,
  });
  if (error) console.error(error.message);
  return status === 0;
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

function tally(ok) {
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

function add(a, b) {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}
