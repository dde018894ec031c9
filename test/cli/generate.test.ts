import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { hasStories, type Outcome, stories, story, triga } from './run_cli.js';

const once = ['generate', stories, '-p', 'Once upon a time'];

/** A copy of the model with other files in it, or without some (null). */
async function variant(files: Readonly<Record<string, string | null>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'triga-cli-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  await cp(stories, directory, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    if (text === null) await rm(join(directory, name));
    else await writeFile(join(directory, name), text);
  }
  return directory;
}

const failed = (code: number, message: string | RegExp): unknown => ({
  code,
  signal: null,
  stdout: '',
  stderr: expect.stringMatching(message),
});

describe.skipIf(!hasStories)('triga generate', () => {
  test('prints the continuation alone', async () => {
    const outcome = await triga([...once, '--max-new-tokens', '58']);
    expect(outcome).toEqual({ code: 0, signal: null, stdout: story, stderr: '' });
  });

  test('goes on to 256 tokens', async () => {
    const { code, stdout } = await triga(once);
    expect(code).toBe(0);
    expect(stdout.startsWith(story)).toBe(true);
    expect(stdout.endsWith('\n')).toBe(true);
  });

  test('takes the prompt from stdin, with and without -p -', async () => {
    const length = ['--max-new-tokens', '8'];
    const plain = await triga([...once, ...length]);
    expect(plain.stdout).toMatch(/^, there was a/);
    expect(await triga(['generate', stories, ...length], { stdin: 'Once upon a time\n' })).toEqual(plain);
    expect(await triga(['generate', stories, '-p', '-', ...length], { stdin: 'Once upon a time' })).toEqual(
      plain,
    );
  });

  test('an unended stdin is not read where -p gives the prompt', async () => {
    const { code } = await triga([...once, '--max-new-tokens', '2'], { stdin: 'open' });
    expect(code).toBe(0);
  });

  test('ids in, ids out', async () => {
    const run = (...args: string[]): Promise<Outcome> =>
      triga(['generate', stories, '--ids', '1,2,3', '--max-new-tokens', '4', ...args]);
    const { stdout, code } = await run();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d+,\d+,\d+,\d+\n$/);
    const { tokens } = JSON.parse((await run('--json')).stdout) as { tokens: number[] };
    expect(stdout.trim()).toBe(tokens.join());
    const bare = await variant({ 'tokenizer.json': null, 'tokenizer_config.json': null });
    expect(await triga(['generate', bare, '--ids', '1,2,3', '--max-new-tokens', '4'])).toMatchObject({
      stdout,
    });
    expect(await triga(['generate', bare, '-p', 'x'])).toEqual(failed(1, /^triga: .*token ids.*\n$/));
  });

  test('a seed repeats a drawn text', async () => {
    const args = [...once, '--temperature', '1', '--top-p', '0.9', '--seed', '7', '--max-new-tokens', '20'];
    const [first, second] = [await triga(args), await triga(args)];
    expect(first.code).toBe(0);
    expect(second).toEqual(first);
    expect((await triga([...args, '--seed', '8'])).stdout).not.toBe(first.stdout);
  });

  test.each([
    ['beams', ['--num-beams', '3']],
    ['draws', ['--do-sample', '--seed', '3']],
  ])('several sequences stand apart: %s', async (_, mode) => {
    const args = [...once, ...mode, '--num-return-sequences', '3', '--max-new-tokens', '9'];
    const { stdout, code } = await triga(args);
    const { sequences } = JSON.parse((await triga([...args, '--json'])).stdout) as {
      sequences: { text: string }[];
    };
    expect(code).toBe(0);
    expect(sequences.length).toBe(3);
    const [a, b, c] = sequences.map(({ text }) => (text.endsWith('\n') ? text : `${text}\n`));
    expect(stdout).toBe(`${a}--- 2 of 3 ---\n${b}--- 3 of 3 ---\n${c}`);
  });

  test('a stop string ends the text', async () => {
    const { stdout } = await triga([...once, '--stop', ' named', '--stop', 'xyz']);
    expect(stdout).toBe(', there was a little girl\n');
  });

  test('--json prints the result as one object', async () => {
    const { code, stdout, stderr } = await triga([
      ...once,
      '--max-new-tokens',
      '5',
      '--logprobs',
      '2',
      '--json',
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const result = JSON.parse(stdout) as Record<string, unknown>;
    expect(result).toEqual({
      text: expect.stringMatching(/^, there/),
      tokens: expect.any(Array),
      finishReason: 'length',
      usage: { promptTokens: expect.any(Number), completionTokens: 5, cachedTokens: 0 },
      timings: {
        seed: expect.any(Number),
        firstTokenMs: expect.any(Number),
        lastTokenMs: expect.any(Number),
        totalMs: expect.any(Number),
      },
      sequences: [expect.objectContaining({ finishReason: 'length', logprobs: expect.any(Array) })],
      tokensPerSecond: expect.any(Number),
      model: expect.objectContaining({ family: 'llama', parameters: 260032, contextLength: 512 }),
    });
    expect(result.tokensPerSecond).toBeGreaterThan(0);
  });

  test('--verbose adds a line on stderr', async () => {
    const { stdout, stderr } = await triga([...once, '--max-new-tokens', '3', '--verbose']);
    expect(stdout).toMatch(/^, there/);
    expect(stderr).toMatch(/^3 tokens \(length\), [\d.]+ tokens\/s, .*llama f32 on \w+ [\w ]+, seed \d+\n$/);
  });

  test('the device asked for runs it', async () => {
    const args = [...once, '--max-new-tokens', '3', '--json', '--device', 'reference', '--threads', '1'];
    const { model, text } = JSON.parse((await triga(args)).stdout) as {
      model: { device: string };
      text: string;
    };
    expect(model.device).toBe('reference');
    expect(text).toMatch(/^, th/);
  });

  test('a fallback is told', async () => {
    const { code, stdout, stderr } = await triga([...once, '--max-new-tokens', '3'], {
      env: { TRIGA_PREBUILD: tmpdir() },
    });
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^, th/) });
    expect(stderr).toMatch(/^triga: runs on \w+: .*addon.*npm run build.*\n$/);
  });

  test('a field that may matter is warned of in a line', async () => {
    const config = JSON.parse(await readFile(join(stories, 'config.json'), 'utf8')) as object;
    const odd = await variant({ 'config.json': JSON.stringify({ ...config, frobnicate: 3 }) });
    const { code, stderr } = await triga(['generate', odd, '-p', 'Once', '--max-new-tokens', '2']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^triga: .*frobnicate\n$/) });
  });
});

describe.skipIf(!hasStories)('triga generate --chat', () => {
  const template = '{% for m in messages %}{{ m.role }}: {{ m.content }} {% endfor %}Once upon a time';

  test('renders system and user message by the template', async () => {
    const model = await variant({ 'chat_template.jinja': template });
    const args = ['--max-new-tokens', '10', '--json'];
    const chat = await triga(['generate', model, '--chat', '--system', 'Be kind.', '-p', 'Hello', ...args]);
    const { usage, text } = JSON.parse(chat.stdout) as { usage: { promptTokens: number }; text: string };
    const plain = await triga([
      'generate',
      model,
      '-p',
      'system: Be kind. user: Hello Once upon a time',
      ...args,
    ]);
    const expected = JSON.parse(plain.stdout) as typeof chat & { usage: { promptTokens: number } };
    // The template writes no BOS, which a plain prompt gets.
    expect(usage.promptTokens).toBe(expected.usage.promptTokens - 1);
    expect(text).not.toBe('');
  });

  test('a model without template says so', async () => {
    expect(await triga(['generate', stories, '--chat', '-p', 'Hello'])).toEqual(
      failed(1, /^triga: chat template: .*\n$/),
    );
  });
});

describe.skipIf(!hasStories)('ends of triga generate', () => {
  /** Runs for long enough to be stopped. */
  const slow = [...once, '--device', 'reference', '--eos-token-id', '', '--max-new-tokens', '480'];

  test.skipIf(process.platform === 'win32')('Ctrl-C ends it with 130 and a whole line', async () => {
    const { code, stdout, stderr } = await triga(slow, { onOutput: (child) => child.kill('SIGINT') });
    expect({ code, stderr }).toEqual({ code: 130, stderr: '' });
    expect(stdout).toMatch(/^,.*\n$/);
    expect(story.startsWith(stdout.trimEnd())).toBe(true);
  });

  test.skipIf(process.platform === 'win32')('Ctrl-C ends the wait for stdin', async () => {
    const outcome = await triga(['generate', stories], {
      stdin: 'open',
      onStart: (child) => setTimeout(() => child.kill('SIGINT'), 1500),
    });
    expect(outcome).toEqual({ code: 130, signal: null, stdout: '', stderr: '' });
  });

  test('a reader that leaves ends it quietly', async () => {
    const { code, signal, stderr } = await triga(slow, { onOutput: (child) => child.stdout?.destroy() });
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  });

  test.each([
    ['--weights q4', 'a type that is not built', /^triga: weights: "q4".*\n$/],
    ['--device cuda', 'a device that is not built', /^triga: device "cuda".*\n$/],
    ['--eos-token-id 512', 'an id outside of the vocabulary', /^triga: generate: .*512.*\n$/],
    ['--num-beams 2 --do-sample', 'modes that are not built', /^triga: generate: .*beam.*\n$/],
  ])('%s fails: %s', async (flags, _, message) => {
    expect(await triga([...once, ...flags.split(' ')])).toEqual(failed(1, message));
  });

  test('bytes that are no text fail', async () => {
    const outcome = await triga(['generate', stories], { stdin: Uint8Array.of(0x61, 0xff) });
    expect(outcome).toEqual(failed(1, /^triga: stdin: expected UTF-8.*\n$/));
  });
});
