import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { isaNames } from '../../lib/exec/isa.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

// CMake reads the file as JSON too, so it stays strict JSON.
const { variables } = JSON.parse(read('native/sources.gypi')) as { variables: Record<string, string[]> };
const list = (name: string): string[] => {
  const items = variables[name];
  if (!items) throw new Error(`native/sources.gypi: expected a list ${name}`);
  return items;
};

test('every source of the addon is in the list, once', () => {
  const found = readdirSync(path.join(root, 'native'))
    .filter((name) => name.endsWith('.cc'))
    .map((name) => `native/${name}`);
  const listed = list('native_sources').filter((name) => name.startsWith('native/'));
  expect([...listed].sort()).toEqual(found.sort());
});

test('every instruction set has its flags, and its target in binding.gyp', () => {
  const isas = [...new Set([...list('isa_x64'), ...list('isa_arm64')])].sort();
  for (const isa of isas) expect(variables, isa).toHaveProperty(`${isa}_flags`);
  expect(isaNames).toEqual(expect.arrayContaining(isas));

  const gyp = read('binding.gyp');
  const targets = [...gyp.matchAll(/"target_name": "kernels_(\w+)"/g)].map((match) => match[1]);
  const defines = [...gyp.matchAll(/"TRIGA_ISA=(\w+)"/g)].map((match) => match[1]);
  expect(targets.sort()).toEqual(isas);
  expect(defines.sort()).toEqual(isas);
});

test('both builds pin what numerics depend on', () => {
  expect(list('shared_flags')).toEqual(expect.arrayContaining(['-std=c++17', '-ffp-contract=off']));
  const all = Object.values(variables).flat();
  expect(all.filter((flag) => /fast-math|Ofast|funsafe|march=native/.test(flag))).toEqual([]);
});
