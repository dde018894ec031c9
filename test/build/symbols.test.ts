import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

// One binary serves every CPU. A function that two instruction sets both define as a weak symbol (an inline function of a
// header, a template) is kept once by the linker, from whichever object comes first: an older CPU may then be handed
// AVX-512 code.
const release = fileURLToPath(new URL('../../build/Release', import.meta.url));

interface Symbol {
  readonly type: string; // nm's letter
  readonly name: string;
}

const symbols = (file: string, ...flags: string[]): Symbol[] =>
  execFileSync('nm', ['--demangle', '--defined-only', ...flags, file], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => {
      const [, type, name] = line.match(/^[0-9a-f]* *(\S) (.*)$/) ?? [];
      return type && name ? [{ type, name }] : [];
    });

describe.skipIf(process.platform !== 'linux')('symbols', () => {
  test('the objects of the instruction sets share no symbol and define none weakly', () => {
    const objects = path.join(release, 'obj.target');
    const targets = readdirSync(objects).filter((name) => /^kernels_\w+$/.test(name));
    expect(targets).toContain('kernels_scalar');

    const owner = new Map<string, string>();
    const breaches: string[] = [];
    for (const target of targets) {
      const files = readdirSync(path.join(objects, target), { recursive: true, encoding: 'utf8' });
      for (const file of files.filter((name) => name.endsWith('.o'))) {
        for (const { type, name } of symbols(path.join(objects, target, file), '--extern-only')) {
          const other = owner.get(name);
          if (other) breaches.push(`${name}: in ${other} and in ${target}`);
          else owner.set(name, target);
          if ('WwVvu'.includes(type)) breaches.push(`${name}: weak in ${target}`);
        }
      }
    }
    expect(breaches).toEqual([]);
    expect(owner.size).toBeGreaterThanOrEqual(targets.length);
  });

  test('the addon exports nothing but what Node looks up', () => {
    const names = symbols(path.join(release, 'triga.node'), '--dynamic').map(({ name }) => name);
    expect(
      names.filter((name) => !/^(napi_register_module_v1|node_api_module_get_api_version_v1)$/.test(name)),
    ).toEqual([]);
  });
});
