// node scripts/node_gyp.mjs TOOL ARGS...: runs node-gyp, or cmake-js or prebuildify over it, against the headers that lie
// beside the running node if they are of its version: then nothing is downloaded.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const prefix = path.resolve(process.execPath, '../..');
const bin = fileURLToPath(new URL('../node_modules/.bin', import.meta.url));
/** @type {NodeJS.ProcessEnv} */
const env = { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH ?? ''}` };
if (!env.npm_config_nodedir && headersVersion() === process.versions.node) env.npm_config_nodedir = prefix;

const [tool, ...args] = process.argv.slice(2);
if (!tool) throw new Error('node_gyp.mjs: expected a tool to run: node-gyp, cmake-js or prebuildify');
const { status, error } = spawnSync(tool, args, {
  stdio: 'inherit',
  env,
  shell: process.platform === 'win32',
});
if (error) throw error;
process.exit(status ?? 1);

/** The version of `<prefix>/include/node`, e.g. '20.20.2'; undefined where there are no headers. */
function headersVersion() {
  try {
    const header = readFileSync(path.join(prefix, 'include/node/node_version.h'), 'utf8');
    const part = (name) => header.match(new RegExp(`#define NODE_${name}_VERSION (\\d+)`))?.[1];
    return [part('MAJOR'), part('MINOR'), part('PATCH')].join('.');
  } catch {
    return undefined;
  }
}
