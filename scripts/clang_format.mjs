// node scripts/clang_format.mjs [--check]: formats the C++ and CUDA sources in place, or fails where that would change one.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const cli = path.join(root, 'node_modules/@wasm-fmt/clang-format/clang-format-cli.cjs');
const mode = process.argv.includes('--check') ? ['--dry-run', '--Werror'] : ['-i'];
const files = ['native', 'kernels', 'test/native', 'scripts'].flatMap((folder) =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(cc|h|cu|cuh)$/.test(name))
    .map((name) => path.join(folder, name)),
);
const { status, error } = spawnSync(process.execPath, [cli, ...mode, ...files], {
  stdio: 'inherit',
  cwd: root,
});
if (error) throw error;
process.exit(status ?? 1);
