import { describe, expect, test } from 'vitest';
import { aren, hasAren } from '../models/aren.js';
import { triga } from './run_cli.js';

const word = 'كريستينا';

describe.skipIf(!hasAren)('a model with an encoder', () => {
  test('generate prints what the decoder writes', async () => {
    expect(await triga(['generate', aren, '-p', word])).toEqual({
      code: 0,
      signal: null,
      stdout: 'cristina\n',
      stderr: '',
    });
    expect((await triga(['generate', aren, '--device', 'reference'], { stdin: word })).stdout).toBe(
      'cristina\n',
    );
  });

  test('beams, ids and JSON', async () => {
    const beams = ['--num-beams', '4', '--num-return-sequences', '2'];
    const { stdout } = await triga(['generate', aren, '-p', word, ...beams]);
    expect(stdout).toBe('cristina\n--- 2 of 2 ---\ncrestina\n');
    const ids = await triga(['generate', aren, '--ids', '55,49,46,52,53,46,50,47', '--json']);
    expect(JSON.parse(ids.stdout)).toMatchObject({
      text: 'cristina',
      tokens: [18, 6, 5, 9, 11, 5, 7, 3, 2],
      finishReason: 'eos',
      usage: { promptTokens: 8, completionTokens: 9 },
      model: { family: 'blenderbot' },
    });
  });

  test('inspect describes both sides', async () => {
    const { stdout, code } = await triga(['inspect', aren, '--json']);
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as { model: unknown }).model).toMatchObject({
      family: 'blenderbot',
      parameters: 216414,
      contextLength: 500,
      sourceLength: 500,
      unusedTensors: [],
      ignoredFields: [],
      memory: { kvBytesPerToken: 7 * 2 * 32 * 4, kvBytesPerContext: 1000 * 7 * 2 * 32 * 4 },
    });
    expect((await triga(['inspect', aren])).stdout).toMatch(/^ {2}Source +500 tokens$/m);
  });

  test('what does not take it says what does', async () => {
    for (const args of [
      ['eval', aren, '--text', 'README.md'],
      ['bench', aren],
    ]) {
      const { code, stderr } = await triga(args);
      expect([code, stderr]).toEqual([1, expect.stringMatching(/"blenderbot".*triga generate/)]);
    }
    const empty = await triga(['generate', aren, '-p', '']);
    expect(empty).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/at least one token/) });
  });
});
