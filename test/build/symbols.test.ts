import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  addon,
  beyondBaseline,
  exportedNames,
  functionsBySource,
  type Instruction,
  levelBreaches,
  objects,
} from './objects.js';

// One binary serves every CPU. A function that two instruction sets both define as a weak symbol (an inline function of a
// header, a template) is kept once by the linker, from whichever object comes first: an older CPU may then be handed
// AVX-512 code.
const build = { release: fileURLToPath(new URL('../../build/Release', import.meta.url)) };
const some = (instructions: readonly Instruction[]): string[] =>
  instructions.slice(0, 10).map(({ text }) => text);

describe.skipIf(process.platform !== 'linux')('symbols', () => {
  test('no level defines what the linker keeps once, or what runs unasked', () => {
    expect([...objects(build).keys()]).toContain('kernels_scalar');
    expect(levelBreaches(build)).toEqual([]);
  });

  test('the addon exports nothing but what Node looks up', () => {
    expect(exportedNames(build).sort()).toEqual([
      'napi_register_module_v1',
      'node_api_module_get_api_version_v1',
    ]);
  });
});

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('instructions', () => {
  const isWide = (target: string): boolean => target.startsWith('kernels_') && target !== 'kernels_scalar';
  const ascending = (counts: readonly number[]): number[] => [...counts].sort((a, b) => a - b);

  test('only objects of the levels above scalar have what not every x64 CPU has', () => {
    const shared = [...objects(build)].filter(([target]) => !isWide(target));
    expect(shared.map(([target]) => target)).toEqual(expect.arrayContaining(['triga', 'kernels_scalar']));
    for (const [target, files] of shared) {
      for (const file of files)
        expect(some(beyondBaseline(build, file)), `${target}: ${path.basename(file)}`).toEqual([]);
    }
  });

  test('the linked addon has just theirs, in their functions', () => {
    const linked = beyondBaseline(build, addon(build));
    const sources = functionsBySource(build);
    const sourceOf = ({ address }: Instruction) =>
      sources.find(({ functions }) => functions.some(({ start, end }) => start <= address && address < end));
    const owners = linked.map(sourceOf);
    expect(some(linked.filter((_, i) => owners[i]?.source !== 'target.cc'))).toEqual([]);
    // As many objects as levels above scalar, with as many of these instructions: nothing moved from one to another.
    const counts = [...new Set(owners)].map((source) => owners.filter((owner) => owner === source).length);
    const compiled = [...objects(build)]
      .filter(([target]) => isWide(target))
      .map(([, files]) => files.flatMap((file) => beyondBaseline(build, file)).length);
    expect(compiled.every((count) => count > 0)).toBe(true);
    expect(ascending(counts)).toEqual(ascending(compiled));
  });
});
