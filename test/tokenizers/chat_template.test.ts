import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type ChatMessage,
  type ChatTemplateOptions,
  chatRenderer,
} from '../../lib/tokenizers/chat_template.js';
import { loadTokenizer } from '../../lib/tokenizers/tokenizer.js';
import { directoryOf, golden, hasGolden, readJson } from './golden_tokenizers.js';

interface GoldenTemplate {
  bos_token: string;
  eos_token: string;
  template: string;
  results: {
    messages: ChatMessage[];
    add_generation_prompt: boolean;
    kwargs: { tools?: unknown[]; [name: string]: unknown };
    text?: string;
    error?: string;
  }[];
}

describe.skipIf(!hasGolden)(
  'templates render as jinja2 does (skipped where ../shared/golden is missing)',
  () => {
    const { templates } = hasGolden
      ? readJson<{ templates: Record<string, GoldenTemplate> }>(join(golden, 'chat_templates.json'))
      : { templates: {} };

    test.each(Object.entries(templates))('%s', (_, { bos_token, eos_token, template, results }) => {
      const render = rendererOf({ default: template }, { bos_token, eos_token });
      for (const { messages, add_generation_prompt: addGenerationPrompt, kwargs, text, error } of results) {
        const { tools, ...variables } = kwargs;
        const options: ChatTemplateOptions = { addGenerationPrompt, variables, ...(tools && { tools }) };
        if (error === undefined) expect(render(messages, options)).toBe(text);
        else expect(() => render(messages, options)).toThrow(error.replace('TemplateError: ', ''));
      }
    });
  },
);

function rendererOf(chatTemplates: Record<string, string>, specialTokens: Record<string, string> = {}) {
  return chatRenderer({ vocabSize: 1, addedTokens: [], chatTemplates, specialTokens });
}

const hello = [{ role: 'user', content: 'Hi' }];

test('what the template raises is an argument error with its message', () => {
  const render = rendererOf({ default: "{{ raise_exception('roles must alternate') }}" });
  expect(() => render(hello)).toThrow(
    expect.objectContaining({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('roles must alternate'),
    }),
  );
});

test('a template that does not parse is a format error', () => {
  expect(() => rendererOf({ default: '{% if %}' })(hello)).toThrow(
    expect.objectContaining({ code: 'MODEL_FORMAT' }),
  );
});

test('no template is unsupported, and says what to do', () => {
  expect(() => rendererOf({})(hello)).toThrow(
    expect.objectContaining({ code: 'UNSUPPORTED', message: expect.stringContaining('chat_template.jinja') }),
  );
});

test('messages without a role are an argument error', () => {
  const render = rendererOf({ default: 'x' });
  expect(() => render([{ content: 'Hi' } as unknown as ChatMessage])).toThrow(/messages\[0\]: expected/);
});

test.each([
  ['a\n  {% raw %}\n {{ x }}\n  {% endraw %}\nb', 'a\n\n {{ x }}\nb'],
  ['a {%- raw -%} {{ "x" }}\\ {%- endraw -%} b', 'a{{ "x" }}\\b'],
  ['{# {% raw %} #}b{% raw %}{% endraw +%}\nc', 'b\nc'],
])('a raw block stands for itself: %j', (template, text) => {
  expect(rendererOf({ default: template })(hello)).toBe(text);
});

test('the format filter formats as Python does', () => {
  const template = "{{ '%s has %d, %.2f%%' | format(messages[0].role, 3, 1.5) }}";
  expect(rendererOf({ default: template })(hello)).toBe('user has 3, 1.50%');
});

test('values print as in Python', () => {
  const template = "{{ true }} {{ none }} {{ nothing }} {{ [1.0, 'a', \"it's\", false, {'k': none}] }}";
  expect(rendererOf({ default: template })(hello)).toBe(`True None  [1.0, 'a', "it's", False, {'k': None}]`);
});

test('strftime_now gives the date', () => {
  expect(rendererOf({ default: "{{ strftime_now('%Y') }}" })(hello)).toBe(String(new Date().getFullYear()));
});

const model = { type: 'WordLevel', unk_token: 'a', vocab: { a: 0 } };
const tokenizerJson = { version: '1.0', added_tokens: [], model };

async function rendered(files: Record<string, unknown>, options?: ChatTemplateOptions): Promise<string> {
  const tokenizer = await loadTokenizer(directoryOf({ 'tokenizer.json': tokenizerJson, ...files }));
  try {
    return (await tokenizer?.applyChatTemplate(hello, options)) ?? '';
  } finally {
    tokenizer?.dispose();
  }
}

test('special tokens may be texts or objects', async () => {
  const config = {
    chat_template: '{{ bos_token }}|{{ eos_token }}',
    bos_token: '<s>',
    eos_token: { content: '</s>' },
  };
  expect(await rendered({ 'tokenizer_config.json': config })).toBe('<s>|</s>');
});

test('of named templates, tool_use serves calls with tools and default the rest', async () => {
  const named = [
    { name: 'default', template: 'plain' },
    { name: 'tool_use', template: 'tools: {{ tools | length }}' },
  ];
  const files = { 'tokenizer_config.json': { chat_template: named } };
  expect(await rendered(files)).toBe('plain');
  expect(await rendered(files, { tools: [{}] })).toBe('tools: 1');
});

test('chat_template.jinja wins over chat_template.json, and that over tokenizer_config.json', async () => {
  const files = {
    'tokenizer_config.json': { chat_template: 'config' },
    'chat_template.json': { chat_template: 'json' },
  };
  expect(await rendered(files)).toBe('json');
  expect(await rendered({ ...files, 'chat_template.jinja': 'jinja' })).toBe('jinja');
});
