import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const node = (...args: string[]): string =>
  execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

// The package's own name leads to its `exports`, so this is what a user of the installed package gets: the built files.
describe.each(['triga', 'triga/testing'])('%s', (name) => {
  test('require and import give the same module', () => {
    const code = `
      const required = require('${name}');
      import('${name}').then((imported) => {
        console.log(Object.keys(imported).length > 0 && required === imported);
      });`;
    expect(node('--no-warnings', '--input-type=commonjs', '-e', code).trim()).toBe('true');
  });
});

test('a start loads a few files, and no package before it is needed', () => {
  const files = new Set<string>();
  const packages = new Set<string>();
  const walk = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    const code = readFileSync(file, 'utf8');
    for (const [, name = ''] of code.matchAll(/^(?:import|export)\s[^;]*?from\s*"([^"]+)"/gm)) {
      if (name.startsWith('.')) walk(path.resolve(path.dirname(file), name));
      else if (!name.startsWith('node:')) packages.add(name);
    }
  };
  walk(path.join(root, manifest.exports['.'].default));
  expect([...packages]).toEqual([]);
  expect(files.size).toBeGreaterThan(1);
  expect(files.size).toBeLessThan(8);
});

describe('the command line', () => {
  const cli = path.join(root, manifest.bin.triga);

  test.skipIf(process.platform === 'win32')('may be run', () => {
    expect(statSync(cli).mode & 0o111).toBe(0o111);
  });

  test('is what `bin` names', () => {
    expect(readFileSync(cli, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });
});

describe('package.json', () => {
  test('keeps the names that npm gives a meaning free', () => {
    // npm runs `prebuild` before `build`, and `install` on the user's machine.
    for (const name of ['prebuild', 'preinstall', 'install', 'postinstall']) {
      expect(manifest.scripts).not.toHaveProperty(name);
    }
    expect(manifest.gypfile).toBe(false);
  });

  test('has no address of a registry in its lock', () => {
    const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
    const packages = Object.entries(lock.packages as Record<string, { resolved?: string }>);
    expect(packages.filter(([, entry]) => entry.resolved).map(([name]) => name)).toEqual([]);
  });

  test('version is the same in the lock', () => {
    const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
    expect([lock.version, lock.packages[''].version]).toEqual([manifest.version, manifest.version]);
  });
});
