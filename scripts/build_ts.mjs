// Compiles lib/ to dist/, removes what no longer has a source (tsc leaves it, and tests or a package would still find it),
// and sets the run bit of the command line, which npm sets only when it installs. What users import is then bundled into
// dist/bundle/: Node takes half a millisecond to find and link a module, and lib/ has more than a hundred.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
const { status, error } = spawnSync(process.execPath, [tsc], { stdio: 'inherit', cwd: root });
if (error) throw error;
if (status !== 0) process.exit(status ?? 1);

const dist = path.join(root, 'dist');
for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
  const stem = name.match(/^(.*?)(\.d\.ts|\.js)(\.map)?$/)?.[1];
  if (stem && !existsSync(path.join(root, 'lib', `${stem}.ts`))) rmSync(path.join(dist, name));
}
chmodSync(path.join(dist, 'cli/main.js'), 0o755);

// Packages stay outside, and what is imported when it is needed stays in files of its own. The bundle lies as deep as the
// modules of lib/ do, so that paths from there to the package's root hold.
const bundle = await rolldown({
  cwd: root,
  input: { index: 'lib/index.ts', testing: 'lib/testing.ts' },
  platform: 'node',
  external: (id) => !id.startsWith('.') && !path.isAbsolute(id),
});
await bundle.write({
  dir: path.join(dist, 'bundle'),
  format: 'esm',
  sourcemap: true,
  chunkFileNames: '[name].js',
});
await bundle.close();
