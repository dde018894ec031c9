import type { GeneratedSequence, GenerateResult, GenerateTimings, SequenceOutcome } from './result.js';

/** What `generate()` resolves to. */
export function makeResult(
  promptTokens: number,
  outcomes: readonly SequenceOutcome[],
  texts: readonly string[],
  run: { cachedTokens: number; timings: GenerateTimings; logprobs: boolean },
): GenerateResult {
  const sequences = outcomes.map(
    ({ tokens, score, finishReason, logprobs }, i): GeneratedSequence => ({
      text: texts[i] ?? '',
      tokens,
      score,
      finishReason,
      ...(run.logprobs ? { logprobs } : {}),
    }),
  );
  const { text, tokens, finishReason } = sequences[0] as GeneratedSequence;
  return {
    text,
    tokens,
    finishReason,
    usage: {
      promptTokens,
      completionTokens: sequences.reduce((n, s) => n + s.tokens.length, 0),
      cachedTokens: run.cachedTokens,
    },
    timings: run.timings,
    sequences,
  };
}
