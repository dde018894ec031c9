import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasStories, stories, triga } from './run_cli.js';

describe.skipIf(!hasStories)('triga quantize (../shared/models/stories260K)', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'triga-cli-quantize-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('says what it did, and what it wrote tells a story', async () => {
    const to = join(folder, 'q8');
    const { code, stdout, stderr } = await triga(['quantize', stories, '-o', to, '--weights', 'q8']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/36 matrices in q8, .* → 272 KiB/);
    const told = await triga(['generate', to, '-p', 'Once upon a time', '--max-new-tokens', '20']);
    expect(told.stdout).toContain('a little girl named Lily');
  });

  test('--json prints one object', async () => {
    const to = join(folder, 'json');
    const { code, stdout } = await triga(['quantize', stories, '-o', to, '--json']);
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ directory: to, matrices: 36 });
    expect(result.bytes).toBeLessThan(result.bytesBefore);
  });

  test('wrong usage is 2, a failure 1, and each says what was wrong', async () => {
    const type = await triga(['quantize', stories, '-o', folder, '--weights', 'q9']);
    expect(type).toMatchObject({ code: 2, stdout: '' });
    expect(type.stderr).toContain('q8');
    const failed = await triga(['quantize', join(folder, 'nothing'), '-o', folder]);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toMatch(/expected a model directory/);
  });
});
