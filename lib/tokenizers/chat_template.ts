import { InvalidArgumentError, ModelFormatError, UnsupportedError } from '../errors.js';
import { JinjaTemplate } from './jinja_template.js';
import type { TokenizerManifest } from './messages.js';

/** One turn of a conversation. Templates may read more of it: `name`, `tool_calls`, `reasoning_content`. */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [key: string]: unknown;
}

export interface ChatTemplateOptions {
  /** Whether to end with the opening of the assistant's turn. Default true. */
  readonly addGenerationPrompt?: boolean;
  /** JSON schemas of functions that the model may call. */
  readonly tools?: readonly unknown[];
  /** What else the template reads, such as Qwen3's `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

export type RenderChat = (messages: readonly ChatMessage[], options?: ChatTemplateOptions) => string;

/**
 * Rendering by the model's own Jinja template. Of several named ones, `tool_use` serves calls with tools and `default` the
 * rest. Throws `UnsupportedError` without a template, `ModelFormatError` for one that does not parse, and
 * `InvalidArgumentError` with the template's message when it rejects the conversation.
 */
export function chatRenderer({ chatTemplates, specialTokens }: TokenizerManifest): RenderChat {
  const parsed = new Map<string, JinjaTemplate>();
  return (messages, options = {}) => {
    checkMessages(messages);
    const name = options.tools !== undefined && 'tool_use' in chatTemplates ? 'tool_use' : 'default';
    const source = chatTemplates[name];
    if (source === undefined) throw missingTemplate(Object.keys(chatTemplates));
    const template = parsed.get(name) ?? parse(source);
    parsed.set(name, template);
    try {
      return template.render({
        ...specialTokens,
        ...options.variables,
        ...(options.tools === undefined ? {} : { tools: options.tools }),
        messages,
        add_generation_prompt: options.addGenerationPrompt ?? true,
      });
    } catch (cause) {
      throw new InvalidArgumentError(`chat template: ${(cause as Error).message}`, { cause });
    }
  };
}

function parse(source: string): JinjaTemplate {
  try {
    return new JinjaTemplate(source);
  } catch (cause) {
    throw new ModelFormatError(`chat template: does not parse: ${(cause as Error).message}`, { cause });
  }
}

function missingTemplate(names: readonly string[]): UnsupportedError {
  const got = names.length === 0 ? 'this tokenizer has none' : `it has only ${names.join(', ')}`;
  return new UnsupportedError(
    `chat template: expected a default template, ${got}; pass the prompt as text, or add chat_template.jinja`,
  );
}

function checkMessages(messages: readonly ChatMessage[]): void {
  if (!Array.isArray(messages)) {
    throw new InvalidArgumentError(`messages: expected a list of { role, content }, got ${typeof messages}`);
  }
  messages.forEach((message: ChatMessage | null, index) => {
    if (typeof message?.role === 'string') return;
    throw new InvalidArgumentError(
      `messages[${index}]: expected { role: string, content }, got ${JSON.stringify(message)?.slice(0, 60)}`,
    );
  });
}
