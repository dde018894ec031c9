// node scripts/build_arm64.mjs: builds the addon for Linux on arm64 from x64, by the binding.gyp that users build with, into
// build/arm64/build/Release/. The cross compiler is Debian's g++-aarch64-linux-gnu. TRIGA_PREBUILD=build/arm64 loads the result.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = path.join(root, 'build/arm64');

// node-gyp always builds into the folder named build of where it runs: so the sources get a second address.
mkdirSync(folder, { recursive: true });
for (const name of ['binding.gyp', 'package.json', 'native', 'kernels', 'node_modules']) {
  rmSync(path.join(folder, name), { force: true });
  symlinkSync(path.join('../..', name), path.join(folder, name));
}

const tool = (name) => `aarch64-linux-gnu-${name}`;
const env = { ...process.env, CC: tool('gcc'), CXX: tool('g++'), AR: tool('ar'), LINK: tool('g++') };
const args = ['node-gyp', '--loglevel=warn', '--arch=arm64', 'configure', 'build', '-j', 'max'];
const { status, error } = spawnSync(process.execPath, [path.join(root, 'scripts/node_gyp.mjs'), ...args], {
  cwd: folder,
  env,
  stdio: 'inherit',
});
// publint takes it for a package within the package.
rmSync(path.join(folder, 'package.json'));
if (error) throw error;
process.exit(status ?? 1);
