import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTokenData } from '../../lib/data/open_token_data.js';
import { triga } from './run_cli.js';

let folder: string;
let input: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'triga-cli-data-'));
  input = join(folder, 'texts.jsonl');
  const lines = Array.from({ length: 50 }, (_, i) => JSON.stringify({ text: `The text of number ${i}.` }));
  await writeFile(input, [...lines, 'no JSON', lines[0]].join('\n'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('triga tokenizer train and triga data', () => {
  test('one makes the tokenizer that the other encodes with', async () => {
    const tokenizer = join(folder, 'tokenizer');
    const trained = await triga([
      'tokenizer',
      'train',
      input,
      '-o',
      tokenizer,
      '--vocab-size',
      '270',
      '--json',
    ]);
    expect(trained).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(trained.stdout)).toMatchObject({
      directory: tokenizer,
      vocabSize: 270,
      report: { kept: { documents: 50 } },
    });

    const out = join(folder, 'tokens');
    const told = await triga(['data', input, '-o', out, '--tokenizer', tokenizer, '--min-length', '22']);
    expect(told).toMatchObject({ code: 0, stderr: '' });
    expect(told.stdout).toMatch(/read +52 documents[\s\S]*kept +40 documents/);
    expect(told.stdout).toMatch(/dropped +1 documents, \d+ bytes: a line that is no JSON/);
    await using data = await openTokenData(out, { vocabSize: 270 });
    expect(data.documents).toBe(40);

    const json = await triga(
      ['data', input, '-o', join(folder, 'split'), '--tokenizer', tokenizer].concat([
        '--validation',
        '0.2',
        '--seed',
        '0',
        '--json',
      ]),
    );
    expect(json).toMatchObject({ code: 0, stderr: '' });
    const { splits, report } = JSON.parse(json.stdout);
    expect(splits.train.documents + splits.validation.documents).toBe(50);
    expect(splits.validation.documents).toBeGreaterThan(0);
    expect(report.dropped).toMatchObject({ malformed: { documents: 1 }, duplicate: { documents: 1 } });

    const again = await triga(['data', input, '-o', out, '--tokenizer', tokenizer]);
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(again.stderr).toMatch(/without a dataset/);
  });

  test('wrong usage is 2, a failure 1, and each says what was wrong', async () => {
    const out = join(folder, 'none');
    for (const [args, message] of [
      [['data', input, '-o', out], /--tokenizer/],
      [['data', input, '-o', out, '--tokenizer', folder, '--validation', '2'], /below 1/],
      [['data', input, '-o', out, '--tokenizer', folder, '--seed', 'x'], /integer/],
      [['tokenizer', 'train', input, '-o', out], /--vocab-size/],
      [['tokenizer', 'learn'], /unknown command/],
    ] as const) {
      const { code, stderr } = await triga(args);
      expect(stderr).toMatch(message);
      expect(code).toBe(2);
    }
    const small = await triga(['tokenizer', 'train', input, '-o', out, '--vocab-size', '10']);
    expect(small.code).toBe(1);
    expect(small.stderr).toMatch(/from 257/);
    const missing = await triga(['data', join(folder, 'nothing'), '-o', out, '--tokenizer', folder]);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toMatch(/tokenizer.json/);
  });
});
