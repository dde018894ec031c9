import { createInterface, type Interface } from 'node:readline';
import { abortError, throwIfAborted, UnsupportedError } from '../errors.js';
import type { GenerateOptions } from '../generate/options.js';
import type { LanguageModel } from '../generate/text_model.js';
import type { ChatMessage } from '../tokenizers/chat_template.js';
import { describe } from './report.js';

/** Where a conversation is held: a terminal, or in tests streams. */
export interface ChatStreams {
  readonly input: NodeJS.ReadableStream;
  /** Takes the answers. */
  readonly output: NodeJS.WritableStream;
  /** Takes everything else: prompts, notes, what is being typed. */
  readonly notes: NodeJS.WritableStream;
  /** Whether keys are read one by one, as from a terminal. Default: whether `notes` is one. */
  readonly terminal?: boolean;
}

/** What a conversation needs of a model. */
export type ChatModel = Pick<LanguageModel, 'generate'> & {
  readonly tokenizer: { readonly hasChatTemplate: boolean };
};

const greeting =
  'Ctrl-C stops an answer, and at the prompt leaves, as Ctrl-D does; /clear forgets the conversation.\n';

/**
 * Holds a conversation until the input ends. Rejects with UnsupportedError if the model has no chat template, with AbortError after
 * Ctrl-C at the prompt, or where an answer was being stopped already.
 */
export async function converse(
  model: ChatModel,
  options: GenerateOptions & { readonly signal: AbortSignal },
  system: string | undefined,
  streams: ChatStreams = { input: process.stdin, output: process.stdout, notes: process.stderr },
): Promise<void> {
  if (!model.tokenizer.hasChatTemplate)
    throw new UnsupportedError('chat: the model has no chat template; leave --chat out and give -p TEXT');
  const { input, notes, terminal } = streams;
  const lines = createInterface({
    input,
    output: notes,
    prompt: '> ',
    ...(terminal === undefined ? {} : { terminal }),
  });
  const chat = new Chat(model, options, system, streams, lines);
  const leave = (): void => chat.leave();
  options.signal.addEventListener('abort', leave);
  try {
    notes.write(greeting);
    await chat.run();
    notes.write('\n');
  } finally {
    options.signal.removeEventListener('abort', leave);
    lines.close();
  }
}

/** The state of a conversation: what was said, and what is being said. */
class Chat {
  readonly #model: ChatModel;
  readonly #options: GenerateOptions & { readonly signal: AbortSignal };
  readonly #opening: readonly ChatMessage[];
  readonly #streams: ChatStreams;
  readonly #lines: Interface;
  #messages: readonly ChatMessage[];
  #answering: AbortController | undefined;
  #left = false;
  #closed = false;

  constructor(
    model: ChatModel,
    options: GenerateOptions & { readonly signal: AbortSignal },
    system: string | undefined,
    streams: ChatStreams,
    lines: Interface,
  ) {
    this.#model = model;
    this.#options = options;
    this.#opening = system === undefined ? [] : [{ role: 'system', content: system }];
    this.#messages = this.#opening;
    this.#streams = streams;
    this.#lines = lines;
    lines.on('SIGINT', () => this.#interrupt());
    lines.on('close', () => {
      this.#closed = true;
    });
  }

  async run(): Promise<void> {
    this.#lines.prompt();
    for await (const line of this.#lines) {
      if (line.trim() === '/clear') this.#messages = this.#opening;
      else if (line.trim() !== '') await this.#answer(line);
      if (this.#left) break;
      if (!this.#closed) this.#lines.prompt();
    }
    throwIfAborted(this.#options.signal);
    if (this.#left) throw abortError();
  }

  /** Ends the conversation. */
  leave(): void {
    this.#left = true;
    this.#lines.close();
  }

  #interrupt(): void {
    if (this.#answering && !this.#answering.signal.aborted) this.#answering.abort();
    else this.leave();
  }

  /** Streams one answer. It stays in the history as far as it came; without any text, the question goes too. */
  async #answer(question: string): Promise<void> {
    const { output, notes } = this.#streams;
    const asked = [...this.#messages, { role: 'user', content: question }];
    this.#answering = new AbortController();
    const signal = AbortSignal.any([this.#answering.signal, this.#options.signal]);
    let text = '';
    const show = (piece: string): void => {
      text += piece;
      output.write(piece);
    };
    try {
      const request = this.#model.generate(asked, { ...this.#options, signal });
      for await (const piece of request) show(piece.text);
      // Beams are known at the end only.
      if (text === '') show((await request).text);
    } catch (error) {
      if (!signal.aborted) notes.write(`${text === '' ? '' : '\n'}triga: ${describe(error)}`);
    }
    this.#answering = undefined;
    (text === '' ? notes : output).write('\n');
    if (text !== '') this.#messages = [...asked, { role: 'assistant', content: text }];
  }
}
