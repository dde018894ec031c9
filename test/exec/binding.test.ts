import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const model = path.join(root, '../shared/golden/llama_gqa');
const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** The package as it is built, with changes to package.json, and with or without the binary. */
function install({ version, binary }: { version?: string; binary: boolean }): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'triga-binding-'));
  folders.push(folder);
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Record<
    string,
    unknown
  >;
  writeFileSync(
    path.join(folder, 'package.json'),
    JSON.stringify({ ...manifest, ...(version ? { version } : {}) }),
  );
  cpSync(path.join(root, 'dist'), path.join(folder, 'dist'), { recursive: true });
  for (const name of ['node_modules', ...(binary ? ['build'] : [])])
    symlinkSync(path.join(root, name), path.join(folder, name));
  return folder;
}

/** What loading a model in a process of its own comes to. */
function loadIn(
  folder: string,
  device: string,
): { error?: string; code?: string; device?: string; fallbackReason?: string } {
  const script = `
    const { loadTextModel } = await import(process.argv[1] + '/dist/index.js');
    try {
      const model = await loadTextModel(process.argv[2], { device: process.argv[3] });
      console.log(JSON.stringify(model.info));
      await model.dispose();
    } catch (error) {
      console.log(JSON.stringify({ error: error.message, code: error.code }));
    }`;
  const { TRIGA_PREBUILD: _, TRIGA_ISA: __, ...env } = process.env; // with TRIGA_ISA nothing falls back
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script, folder, model, device], {
    encoding: 'utf8',
    env,
  });
  return JSON.parse(out) as ReturnType<typeof loadIn>;
}

describe.skipIf(!existsSync(model))('a binary that does not fit', () => {
  test('of another version: cpu names the remedy, auto falls back and says why', () => {
    const folder = install({ version: '99.0.0', binary: true });
    const named = loadIn(folder, 'cpu');
    expect(named.code).toBe('DEVICE_UNAVAILABLE');
    expect(named.error).toMatch(/99\.0\.0.*npm run build/);
    const automatic = loadIn(folder, 'auto');
    expect(automatic.device).toBe('onnx');
    expect(automatic.fallbackReason).toMatch(/99\.0\.0.*npm run build/);
  });

  test('missing: cpu names the remedy, auto falls back and says why', () => {
    const folder = install({ binary: false });
    expect(loadIn(folder, 'cpu')).toMatchObject({
      code: 'DEVICE_UNAVAILABLE',
      error: expect.stringMatching(/npm run build/) as string,
    });
    expect(loadIn(folder, 'auto')).toMatchObject({
      device: 'onnx',
      fallbackReason: expect.stringMatching(/npm run build/) as string,
    });
  });
});
