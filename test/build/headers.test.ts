import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/node_gyp.mjs', import.meta.url));
const headers = path.resolve(process.execPath, '../../include/node/node_api.h');

// node-gyp would download headers; here the place to download them from does not exist, and no .npmrc says where they lie.
test.skipIf(!existsSync(headers))('an addon builds from the headers beside node, without a network', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'triga-headers-'));
  try {
    const target = { target_name: 'probe', sources: ['probe.c'] };
    writeFileSync(path.join(folder, 'binding.gyp'), JSON.stringify({ targets: [target] }));
    writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name: 'probe', version: '1.0.0' }));
    writeFileSync(
      path.join(folder, 'probe.c'),
      '#include <node_api.h>\nNAPI_MODULE_INIT() { (void)env; return exports; }\n',
    );
    const own = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
    const env = { ...Object.fromEntries(own), HOME: folder, npm_config_disturl: 'http://127.0.0.1:9' };
    execFileSync(process.execPath, [script, 'node-gyp', '--loglevel=warn', 'rebuild'], {
      cwd: folder,
      env,
      stdio: 'pipe',
    });
    expect(createRequire(import.meta.url)(path.join(folder, 'build/Release/probe.node'))).toEqual({});
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
