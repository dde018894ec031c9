import { checkContradictions, type GenerateOptions } from '../generate/options.js';
import type { GenerateResult } from '../generate/result.js';
import type { LanguageModel, Prompt, TextModel } from '../generate/text_model.js';
import { converse } from './chat.js';
import { type FlagValues, generateOptionsOf } from './generate_flags.js';
import type { LoadFlags } from './load_flags.js';
import { loadAnyModel, loadModel } from './load_model.js';
import { BrokenPipeError, UsageError } from './report.js';
import { print, readStdin } from './terminal.js';

/** What `triga generate` takes besides the options of generate(), which generate_flags.ts reads. */
export interface GenerateFlags extends LoadFlags, FlagValues {
  readonly prompt?: string;
  readonly ids?: readonly number[];
  readonly chat?: boolean;
  readonly system?: string;
  readonly assistantModel?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

/** Runs `triga generate`. */
export async function runGenerate(
  source: string | undefined,
  flags: GenerateFlags,
  signal: AbortSignal,
): Promise<void> {
  const options = generateOptionsOf(flags);
  checkUsage(flags, options);
  const prompt = await readPrompt(flags, signal);
  const model = await loadAnyModel(source, flags, signal);
  let assistantModel: TextModel | undefined;
  try {
    if (flags.assistantModel !== undefined)
      assistantModel = await loadModel(flags.assistantModel, flags, signal);
    const call = { ...options, assistantModel, signal };
    if (prompt === undefined) await converse(model, call, flags.system);
    else if (flags.json) await printJson(model, prompt, call, flags);
    else await printStream(model, prompt, call, flags);
  } finally {
    await Promise.all([model.dispose(), assistantModel?.dispose()]);
  }
}

/** Throws UsageError for flags that cannot go together. */
function checkUsage(flags: GenerateFlags, options: GenerateOptions): void {
  if (flags.system !== undefined && !flags.chat) throw new UsageError('--system needs --chat');
  if (flags.json && isConversation(flags))
    throw new UsageError('--json needs one prompt: give it with -p, or pipe it');
  if (!flags.chat && !hasPrompt(flags) && process.stdin.isTTY)
    throw new UsageError('expected a prompt: give -p TEXT, --ids or --chat, or pipe text in');
  try {
    checkContradictions(options);
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
}

const hasPrompt = ({ prompt, ids }: GenerateFlags): boolean => prompt !== undefined || ids !== undefined;

const isConversation = (flags: GenerateFlags): boolean =>
  flags.chat === true && !hasPrompt(flags) && process.stdin.isTTY;

/** What to continue; undefined: a conversation. */
async function readPrompt(flags: GenerateFlags, signal: AbortSignal): Promise<Prompt | undefined> {
  if (flags.ids) return flags.ids;
  if (isConversation(flags)) return undefined;
  const piped = flags.prompt === undefined || flags.prompt === '-';
  const text = piped ? await readStdin(signal) : (flags.prompt as string);
  if (flags.prompt === undefined && text === '')
    throw new UsageError('expected a prompt, got an empty stdin: give -p TEXT or --ids');
  if (!flags.chat) return text;
  const system = flags.system === undefined ? [] : [{ role: 'system', content: flags.system }];
  return [...system, { role: 'user', content: text }];
}

/** Prints the continuation as it comes; beams, which are known at the end, and further sequences after it. */
async function printStream(
  model: LanguageModel,
  prompt: Prompt,
  options: GenerateOptions & { readonly signal: AbortSignal },
  flags: GenerateFlags,
): Promise<void> {
  const { signal } = options;
  const asIds = flags.ids !== undefined;
  const request = model.generate(prompt, options);
  let shown = '';
  const show = async (text: string): Promise<void> => {
    if (text === '') return;
    shown += text;
    await print(text, signal);
  };
  try {
    for await (const { text, tokens } of request)
      await show(asIds ? tokens.map((id) => (shown === '' ? `${id}` : `,${id}`)).join('') : text);
    const result = await request;
    const texts = result.sequences.map((s) => (asIds ? s.tokens.join(',') : s.text));
    if (shown === '') await show(texts[0] ?? '');
    for (const [i, text] of texts.slice(1).entries())
      await show(`${lineEnd(shown)}--- ${i + 2} of ${texts.length} ---\n${text}`);
    await show(lineEnd(shown));
    summarize(model, result, flags);
  } catch (error) {
    // What follows on the terminal, if only a prompt, begins a line of its own.
    if (shown !== '' && !(error instanceof BrokenPipeError)) process.stdout.write(lineEnd(shown));
    throw error;
  }
}

/** What ends a line after `text`. */
const lineEnd = (text: string): string => (text.endsWith('\n') ? '' : '\n');

async function printJson(
  model: LanguageModel,
  prompt: Prompt,
  options: GenerateOptions & { readonly signal: AbortSignal },
  flags: GenerateFlags,
): Promise<void> {
  const result = await model.generate(prompt, options);
  const object = { ...result, tokensPerSecond: tokensPerSecond(result), model: model.info };
  await print(`${JSON.stringify(object, null, 2)}\n`, options.signal);
  summarize(model, result, flags);
}

/** Tokens per second after the first, which waits for the prompt; of beams, which come all at once, over the whole time. */
function tokensPerSecond({ usage, timings, sequences }: GenerateResult): number {
  const later = usage.completionTokens - sequences.length;
  const laterMs = timings.lastTokenMs - timings.firstTokenMs;
  const rate = later > 0 && laterMs > 0 ? later / laterMs : usage.completionTokens / timings.totalMs;
  return Math.round(rate * 1e5) / 100;
}

function summarize(model: LanguageModel, result: GenerateResult, { verbose }: GenerateFlags): void {
  if (!verbose && !process.stderr.isTTY) return;
  const { usage, timings, finishReason } = result;
  const { family, device, isa, weights } = model.info;
  process.stderr.write(
    `${usage.completionTokens} tokens (${finishReason}), ${tokensPerSecond(result)} tokens/s, ` +
      `first after ${Math.round(timings.firstTokenMs)} ms, prompt of ${usage.promptTokens} ` +
      `(${usage.cachedTokens} cached); ${family} ${weights} on ${device} ${isa}, seed ${timings.seed}\n`,
  );
}
