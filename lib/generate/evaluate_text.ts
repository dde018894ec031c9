import { InvalidArgumentError, ModelFormatError, throwIfAborted, UnsupportedError } from '../errors.js';
import { evaluationWindows } from './evaluation_windows.js';
import { TextModel } from './text_model.js';

export interface EvaluateOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after each window: tokens whose probability is known, and all. */
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

/** How well a model predicts a text. */
export interface EvaluateResult {
  /** e to the mean of −ln p over the tokens. */
  readonly perplexity: number;
  /** −Σ log₂ p / UTF-8 bytes of the text, which does not depend on how the text falls into tokens. */
  readonly bitsPerByte: number;
  readonly tokens: number;
  readonly bytes: number;
}

/**
 * Perplexity and bits per byte of a text, in windows of the model's full context that begin half of it apart. Each begins with the
 * model's BOS token, if it has one; a token counts in the first window that reaches it, so once, and every byte with its token. Without
 * BOS nothing predicts the first token, and it counts as one of the vocabulary drawn at random. Rejects with InvalidArgumentError for
 * an empty text, UnsupportedError without tokenizer, ModelFormatError if the model computes no number, or AbortError within a step.
 */
export async function evaluateText(
  model: TextModel,
  text: string,
  { signal, onProgress }: EvaluateOptions = {},
): Promise<EvaluateResult> {
  if (!(model instanceof TextModel))
    throw new InvalidArgumentError('evaluate: expected a model that continues text, as of loadTextModel()');
  if (typeof text !== 'string' || text === '')
    throw new InvalidArgumentError(
      `evaluate: expected a text, got ${text === '' ? 'an empty one' : typeof text}`,
    );
  throwIfAborted(signal);
  const { bosTokenId: bos, info, tokenizer } = model;
  checkModel(info.contextLength, info.vocabSize, bos);
  const encode = signal ? { signal } : {};
  const tokens = await tokenizer.encode(text, { ...encode, addSpecialTokens: false });
  if (tokens.length === 0)
    throw new InvalidArgumentError(
      'evaluate: expected a text of at least one token, got one of which the tokenizer makes none',
    );
  const lead = bos === undefined ? [] : [bos];
  // In nats. What nothing predicts is one of the vocabulary.
  let cost = bos === undefined ? Math.log(info.vocabSize) : 0;
  for (const { begin, end, from } of evaluationWindows(
    tokens.length,
    info.contextLength - lead.length,
    info.contextLength,
  )) {
    const ids = [...lead, ...tokens.slice(begin, end)];
    const first = Math.max(from - begin + lead.length, 1);
    if (first < ids.length) {
      const { data } = await model.logprobs(ids, { from: first, signal });
      for (const logprob of data) cost -= logprob;
    }
    onProgress?.({ done: end, total: tokens.length });
  }
  if (!Number.isFinite(cost))
    throw new ModelFormatError(
      'evaluate: the model gives the text no probability (NaN, or 0); its weights or config.json are damaged',
    );
  const bytes = Buffer.byteLength(text);
  return {
    perplexity: Math.exp(cost / tokens.length),
    bitsPerByte: cost / Math.LN2 / bytes,
    tokens: tokens.length,
    bytes,
  };
}

/** Throws for a context without room for a window, and for a BOS that is no token. */
function checkModel(contextLength: number, vocabSize: number, bos: number | undefined): void {
  if (contextLength < 2)
    throw new UnsupportedError(
      `evaluate: expected a model with a context of at least 2 tokens, got one of ${contextLength}`,
    );
  if (bos !== undefined && bos >= vocabSize)
    throw new ModelFormatError(
      `evaluate: expected bos_token_id below the vocabulary's ${vocabSize}, got ${bos}`,
    );
}
