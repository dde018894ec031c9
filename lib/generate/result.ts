export type FinishReason = 'eos' | 'stop' | 'length';

/** One token and its best alternatives, by the model's own distribution: log-softmax of its logits. */
export interface TokenLogprobs {
  readonly token: number;
  readonly logprob: number;
  /** As many as the option `logprobs` asks for, best first. */
  readonly top: readonly { readonly token: number; readonly logprob: number }[];
}

/** What came since the last piece of a stream. */
export interface GeneratePiece {
  readonly text: string;
  readonly tokens: number[];
  readonly logprobs?: TokenLogprobs[];
}

export interface GeneratedSequence {
  readonly text: string;
  /** All sampled ids, those that form the end or a stop included. */
  readonly tokens: number[];
  /** Sum of the log-probabilities of the tokens; with beams, Hugging Face's score. */
  readonly score: number;
  readonly finishReason: FinishReason;
  readonly logprobs?: TokenLogprobs[];
}

export interface GenerateTimings {
  /** Seed of the random draws. */
  readonly seed: number;
  /** Milliseconds from the call until the first token, the last (of the first sequence), and the end. */
  readonly firstTokenMs: number;
  readonly lastTokenMs: number;
  readonly totalMs: number;
}

/** The first sequence, and all of them. */
export interface GenerateResult {
  readonly text: string;
  readonly tokens: number[];
  readonly finishReason: FinishReason;
  readonly usage: {
    readonly promptTokens: number;
    readonly completionTokens: number;
    readonly cachedTokens: number;
  };
  readonly timings: GenerateTimings;
  readonly sequences: GeneratedSequence[];
}

/** A sequence as the scheduler ends it: ids, before text is made of them. */
export interface SequenceOutcome {
  readonly tokens: number[];
  readonly score: number;
  readonly finishReason: FinishReason;
  readonly logprobs: TokenLogprobs[];
  /** The text, where stop strings were looked for in it. */
  readonly text?: string;
  /** Last tokens that end the sequence and are no part of its text. */
  readonly silent: number;
}
