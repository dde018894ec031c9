// node scripts/pack.mjs [--destination DIR]: makes the tarball that users install, without running anything, and prints its path. It
// refuses to pack without the binaries of every platform that is promised (npm run prebuilds; node scripts/prebuild_arm64.mjs) or
// without the built TypeScript, or if they are of another version.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const { values } = parseArgs({ options: { destination: { type: 'string', default: root } } });

const wanted = {
  'prebuilds/linux-x64/triga.glibc.node': 'npm run prebuilds',
  'prebuilds/linux-arm64/triga.glibc.node': 'node scripts/prebuild_arm64.mjs',
  'dist/bundle/index.js': 'npm run build:ts',
  'dist/cli/main.js': 'npm run build:ts',
};
const missing = Object.entries(wanted).filter(([file]) => !existsSync(path.join(root, file)));
for (const [file, remedy] of missing) console.error(`pack: expected ${file}; make it with: ${remedy}`);
const stale = Object.keys(wanted).filter(
  (file) =>
    file.endsWith('.node') &&
    existsSync(path.join(root, file)) &&
    !readFileSync(path.join(root, file)).includes(`\0${version}\0`),
);
for (const file of stale)
  console.error(`pack: expected ${file} to be of version ${version}; make it with: ${wanted[file]}`);
if (missing.length + stale.length > 0) process.exit(1);

const npm = process.env.npm_execpath;
const [command, ...first] = npm ? [process.execPath, npm] : ['npm'];
const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', values.destination];
const { status, stdout, error } = spawnSync(command, [...first, ...args], {
  cwd: root,
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
});
if (error) throw error;
if (status !== 0) process.exit(status ?? 1);
const result = JSON.parse(stdout);
const [{ filename }] = Array.isArray(result) ? result : Object.values(result);
console.log(path.join(values.destination, filename));
