import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { optionNames } from '../../lib/generate/option_table.js';
import { triga } from './run_cli.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('help', () => {
  test('lists the verbs that there are, and no others', async () => {
    const { code, stdout, stderr } = await triga(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const verbs = [...stdout.matchAll(/^ {2}([a-z-]+) [ [<]/gm)].map(([, verb]) => verb);
    const known = [
      'generate',
      'inspect',
      'eval',
      'bench',
      'quantize',
      'decode-image',
      'export',
      'data',
      'tokenizer',
      'train',
      'help',
    ];
    expect(verbs).toEqual(known);
    expect(stdout).toMatch(/Examples:\n {2}triga /);
  });

  test('of generate names every option', async () => {
    const { code, stdout } = await triga(['generate', '--help']);
    expect(code).toBe(0);
    for (const name of optionNames.filter((n) => n !== 'signal'))
      expect(stdout).toContain(`--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`);
    expect(stdout).toMatch(/Examples:/);
  });

  test('--version is the package’s', async () => {
    const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
      version: string;
    };
    expect(await triga(['--version'])).toEqual({
      code: 0,
      signal: null,
      stdout: `${version}\n`,
      stderr: '',
    });
  });

  test('loads nothing that computes', () => {
    const seen = new Set<string>();
    const walk = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      const code = readFileSync(path.join(root, 'dist', file), 'utf8');
      for (const [, name = ''] of code.matchAll(/^import\s[^;]*?from\s+'(\.[^']+)'/gm))
        walk(path.posix.join(path.posix.dirname(file), name));
    };
    walk('cli/main.js');
    expect([...seen].filter((file) => !file.startsWith('cli/')).sort()).toEqual([
      'errors.js',
      'generate/check_option.js',
      'generate/option_table.js',
    ]);
  });
});

describe('wrong usage ends with 2 and a hint', () => {
  test.each([
    ['distill', "unknown command 'distill'"],
    ['eval m', "required option '--text <file>' not specified"],
    [
      'bench m --tokens 0',
      "option '--tokens <n>' argument '0' is invalid: expected an integer from 1 to 16777216.",
    ],
    [
      'bench m --batch 1e3',
      "option '--batch <n>' argument '1e3' is invalid: expected an integer from 1 to 512.",
    ],
    ['bench m --device cpu', "unknown option '--device'"],
    ['generat', "unknown command 'generat'; did you mean generate?"],
    ['generate m --max-tokens 3', "unknown option '--max-tokens'; did you mean --max-new-tokens?"],
    ['generate m --max_new_tokens=3', "unknown option '--max_new_tokens=3'; did you mean --max-new-tokens?"],
    ['generate m --qwertyuiop', "unknown option '--qwertyuiop'"],
    ['inspect -x', "unknown option '-x'"],
    ['generate m -p', "option '-p, --prompt <text>' argument missing"],
    [
      'generate m --top-p 3',
      "option '--top-p <x>' argument '3' is invalid: expected above 0 and at most 1, got 3.",
    ],
    [
      'generate m --device gpu',
      "option '--device <device>' argument 'gpu' is invalid. Allowed choices are auto, cuda, cpu, onnx, reference.",
    ],
    [
      'generate m --threads 0',
      "option '--threads <n>' argument '0' is invalid: expected an integer from 1 to 256.",
    ],
    ['generate m n', "too many arguments for 'generate'. Expected 1 argument but got 2."],
    ['generate m -p x --ids 1', "option '--ids <ids>' cannot be used with option '-p, --prompt <text>'"],
  ])('%s', async (line, message) => {
    const { code, stdout, stderr } = await triga(line.split(' '));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/\nTry "triga.* --help"\.\n$/);
    expect(stderr.split('\n')[0]).toBe(`triga: ${message}`);
  });

  test.each([
    ['generate m --system x -p y', /--system needs --chat/],
    ['generate m -p x --no-do-sample --temperature 2', /doSample: false contradicts temperature/],
    ['generate m', /expected a prompt/],
  ])('%s', async (line, message) => {
    const { code, stdout, stderr } = await triga(line.split(' '));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });

  test('no verb prints the help', async () => {
    const { code, stdout, stderr } = await triga([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^Usage: triga/);
  });
});

describe('failures end with 1 and a line', () => {
  test.each(['generate', 'inspect'])('%s of nothing', async (verb) => {
    const { code, stdout, stderr } = await triga([
      verb,
      'no/such/model',
      ...(verb === 'generate' ? ['-p', 'x'] : []),
    ]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^triga: .*no\/such\/model.*\n$/);
  });

  test('TRIGA_DEBUG shows the stack', async () => {
    const { code, stderr } = await triga(['inspect', 'no/such/model'], { env: { TRIGA_DEBUG: '1' } });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^triga: InvalidArgumentError: .*\n {4}at [\s\S]*Caused by: /);
  });

  test('a repository that is not cached', async () => {
    const { code, stderr } = await triga(['inspect', 'hf:no-such/model'], { env: { HF_HUB_OFFLINE: '1' } });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^triga: hf:no-such\/model: .*\n$/),
    });
  });
});
