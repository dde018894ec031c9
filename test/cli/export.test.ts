import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasStories, stories, triga } from './run_cli.js';

describe.skipIf(!hasStories)('triga export onnx (../shared/models/stories260K)', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'triga-cli-export-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('writes the directory and lists its files', async () => {
    const to = join(folder, 'onnx');
    const { code, stdout, stderr } = await triga(['export', 'onnx', stories, '-o', to]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.trim().split('\n').sort()).toEqual((await readdir(to)).sort());
    expect(stdout).toContain('tokenizer.json');
  });

  test('--json prints one object', async () => {
    const to = join(folder, 'json');
    const { code, stdout } = await triga(['export', 'onnx', stories, '-o', to, '--weights', 'f32', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      directory: to,
      files: expect.arrayContaining(['model.onnx']),
    });
  });

  test('wrong usage is 2, a failure 1, and each says what was wrong', async () => {
    const noOutput = await triga(['export', 'onnx', stories]);
    expect(noOutput).toMatchObject({ code: 2, stdout: '' });
    expect(noOutput.stderr).toContain('-o, --output');
    const format = await triga(['export', 'onxn', stories]);
    expect(format.code).toBe(2);
    expect(format.stderr).toContain('did you mean onnx?');
    const failed = await triga(['export', 'onnx', join(folder, 'nothing'), '-o', folder]);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toMatch(/expected a model directory/);
  });

  test('generate --device onnx says what the engine of triga says', async () => {
    const args = ['generate', stories, '-p', 'Once upon a time', '--max-new-tokens', '40', '--device'];
    const [cpu, onnx] = await Promise.all(['cpu', 'onnx'].map((device) => triga([...args, device])));
    expect(onnx).toEqual(cpu);
    expect(onnx?.stdout).toContain('a little girl named Lily');
  });
});
