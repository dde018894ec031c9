import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { byteVocabulary, removeModels, writeByteModel } from '../generate/byte_model.js';
import { triga } from './run_cli.js';

let model: string;
const file = (name: string): string => join(model, name);
beforeAll(async () => {
  model = await writeByteModel({ context: 16, uniform: true });
  await writeFile(file('text.txt'), '\ufeffNaïve — 字\r\nand more of it, so that there are windows\n');
  await writeFile(file('empty.txt'), '');
  await writeFile(file('latin1.txt'), Buffer.from([0x4e, 0x61, 0xef, 0x76, 0x65]));
  await writeFile(file('long.txt'), 'many windows '.repeat(200_000));
});
afterAll(() => removeModels([model]));

describe('triga eval', () => {
  test('prints one JSON object on stdout, and nothing else', async () => {
    const { code, stdout, stderr } = await triga(['eval', model, '--text', file('text.txt'), '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const bytes = Buffer.byteLength('\ufeffNaïve — 字\r\nand more of it, so that there are windows\n');
    expect(JSON.parse(stdout)).toEqual({
      perplexity: expect.closeTo(byteVocabulary, 2),
      bitsPerByte: expect.closeTo(Math.log2(byteVocabulary), 4),
      tokens: bytes,
      bytes,
    });
  });

  test('prints a line', async () => {
    const { code, stdout } = await triga(['eval', model, '--text', file('text.txt')]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^perplexity 257\.0\d\d, 8\.005\d bits per byte \(6\d tokens, 6\d bytes\)\n$/);
  });

  test.each([
    ['empty.txt', /expected a text file, got an empty one/],
    ['latin1.txt', /expected a text file, got bytes that are no UTF-8/],
    ['missing.txt', /expected a text file, got ENOENT/],
    ['.', /expected a text file, got EISDIR/],
  ])('of %s ends with 1 and a line', async (name, message) => {
    const { code, stdout, stderr } = await triga(['eval', model, '--text', file(name), '--json']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^triga: .*\n$/);
    expect(stderr).toMatch(message);
  });

  test('without a model it is the built-in one', async () => {
    const { code, stdout } = await triga(['eval', '--text', file('text.txt'), '--json']);
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as { bitsPerByte: number }).bitsPerByte).toBeGreaterThan(0);
  });

  test('Ctrl-C ends it with 130', async () => {
    const { code, stdout } = await triga(['eval', model, '--text', file('long.txt'), '--json'], {
      onStart: (child) => setTimeout(() => child.kill('SIGINT'), 3000),
    });
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
  });
});
