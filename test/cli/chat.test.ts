import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { type ChatModel, converse } from '../../lib/cli/chat.js';
import { abortError, UnsupportedError } from '../../lib/errors.js';
import { GenerateRequest } from '../../lib/generate/request.js';
import type { GenerateResult } from '../../lib/generate/result.js';
import type { ChatMessage } from '../../lib/tokenizers/chat_template.js';

/** A model that says each answer word by word; one that ends in '…' then waits to be aborted. */
function scripted(answers: readonly (string | Error)[]): { model: ChatModel; asked: ChatMessage[][] } {
  const asked: ChatMessage[][] = [];
  const generate: ChatModel['generate'] = (prompt, options = {}) => {
    const answer = answers[asked.length] ?? '';
    asked.push(prompt as ChatMessage[]);
    return new GenerateRequest({
      async run(emit) {
        if (answer instanceof Error) throw answer;
        for (const text of answer.split(/(?= )/))
          emit({ token: 0, text, silent: false, logprobs: { token: 0, logprob: 0, top: [] } });
        if (answer.endsWith('…'))
          await new Promise((_, reject) =>
            options.signal?.addEventListener('abort', () => reject(abortError())),
          );
        return { text: answer, tokens: [0] } as unknown as GenerateResult;
      },
      abort() {},
      decoder: () => undefined,
      withLogprobs: false,
    });
  };
  return { model: { tokenizer: { hasChatTemplate: true }, generate }, asked };
}

/** A conversation with what it writes. `type` sends keys once the output ends as told. */
function talk(model: ChatModel, system?: string) {
  const streams = { input: new PassThrough(), output: new PassThrough(), notes: new PassThrough() };
  const written = { output: '', notes: '' };
  for (const name of ['output', 'notes'] as const)
    streams[name].setEncoding('utf8').on('data', (text: string) => {
      written[name] += text;
    });
  const abort = new AbortController();
  const ended = converse(model, { signal: abort.signal }, system, { ...streams, terminal: true });
  ended.catch(() => {});
  const until = async (name: 'output' | 'notes', tail: string): Promise<void> => {
    while (!written[name].includes(tail)) await new Promise((resolve) => setTimeout(resolve, 2));
    written[name] = written[name].slice(written[name].indexOf(tail) + tail.length);
  };
  const type = async (keys: string): Promise<void> => {
    await until('notes', '> ');
    streams.input.write(keys);
  };
  return { type, until, ended, abort, input: streams.input, written };
}

test('a conversation remembers what was said', async () => {
  const { model, asked } = scripted(['hello there', 'well', 'again']);
  const chat = talk(model, 'be kind');
  await chat.type('hi\r');
  await chat.until('output', 'hello there\n');
  await chat.type('  \r');
  await chat.type('and you?\r');
  await chat.until('output', 'well\n');
  await chat.type('/clear\r');
  await chat.type('new\r');
  await chat.until('output', 'again\n');
  await chat.type('\x04');
  await chat.ended;
  const system = { role: 'system', content: 'be kind' };
  const first = [system, { role: 'user', content: 'hi' }];
  expect(asked).toEqual([
    first,
    [...first, { role: 'assistant', content: 'hello there' }, { role: 'user', content: 'and you?' }],
    [system, { role: 'user', content: 'new' }],
  ]);
});

test('Ctrl-C stops an answer, which stays as far as it came; at the prompt it leaves', async () => {
  const { model, asked } = scripted(['one two…', 'three']);
  const chat = talk(model);
  await chat.type('count\r');
  await chat.until('output', 'two…');
  chat.input.write('\x03');
  await chat.until('output', '\n');
  await chat.type('more\r');
  await chat.until('output', 'three\n');
  await chat.type('\x03');
  await expect(chat.ended).rejects.toMatchObject({ name: 'AbortError' });
  expect(asked[1]?.map(({ content }) => content)).toEqual(['count', 'one two…', 'more']);
});

test('a failed answer is told and forgotten', async () => {
  const { model, asked } = scripted([new Error('too long'), 'fine']);
  const chat = talk(model);
  await chat.type('first\r');
  await chat.until('notes', 'triga: too long\n');
  await chat.type('second\r');
  await chat.until('output', 'fine\n');
  await chat.type('\x04');
  await chat.ended;
  expect(asked[1]).toEqual([{ role: 'user', content: 'second' }]);
});

test('the signal ends it, an answer under way too', async () => {
  const { model } = scripted(['wait…']);
  const chat = talk(model);
  await chat.type('go\r');
  await chat.until('output', 'wait…');
  chat.abort.abort();
  await expect(chat.ended).rejects.toMatchObject({ name: 'AbortError' });
});

test('an input that ends at once has its questions answered', async () => {
  const { model, asked } = scripted(['a', 'b']);
  const chat = talk(model);
  chat.input.end('one\r\ntwo\r\n');
  await chat.ended;
  expect(asked.length).toBe(2);
});

test('a model without template is refused', async () => {
  const { model } = scripted([]);
  const chat = talk({ ...model, tokenizer: { hasChatTemplate: false } });
  await expect(chat.ended).rejects.toThrow(UnsupportedError);
});
