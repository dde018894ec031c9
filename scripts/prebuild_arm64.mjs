// node scripts/prebuild_arm64.mjs: builds the addon for Linux on arm64 from x64 (scripts/build_arm64.mjs), and puts it, stripped, where
// prebuildify puts those of the machine that it runs on.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const to = path.join(root, 'prebuilds/linux-arm64');
const file = path.join(to, 'triga.glibc.node');

execFileSync(process.execPath, [path.join(root, 'scripts/build_arm64.mjs')], { stdio: 'inherit' });
mkdirSync(to, { recursive: true });
copyFileSync(path.join(root, 'build/arm64/build/Release/triga.node'), file);
execFileSync('aarch64-linux-gnu-strip', ['--strip-unneeded', file], { stdio: 'inherit' });
