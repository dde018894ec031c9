/** What the calling thread and the tokenizer's worker say to each other. */

export interface WorkerStart {
  readonly directory: string;
}

/** What the calling thread keeps of a loaded tokenizer; the vocabulary stays in the worker. */
export interface TokenizerManifest {
  /** Largest id + 1. */
  readonly vocabSize: number;
  readonly addedTokens: readonly (readonly [content: string, id: number])[];
  /** Template by name; a lone template is called `default`. */
  readonly chatTemplates: Readonly<Record<string, string>>;
  /** `bos_token`, `eos_token`, … of `tokenizer_config.json`: the variables of a chat template. */
  readonly specialTokens: Readonly<Record<string, string | readonly string[]>>;
}

export type WorkerRequest = { readonly call: number } & (
  | { readonly kind: 'encode'; readonly text: string; readonly addSpecialTokens: boolean }
  | { readonly kind: 'decode'; readonly ids: Uint32Array; readonly skipSpecialTokens: boolean }
  | { readonly kind: 'open'; readonly stream: number; readonly prefix: Uint32Array }
  | { readonly kind: 'push'; readonly stream: number; readonly ids: Uint32Array }
  | { readonly kind: 'flush' | 'close'; readonly stream: number }
);

/** `Omit` that keeps the union apart. */
export type WorkerCall = WorkerRequest extends infer R
  ? R extends unknown
    ? Omit<R, 'call'>
    : never
  : never;

export interface WorkerFailure {
  readonly type: 'format' | 'argument' | 'unsupported';
  readonly message: string;
}

export type WorkerReply =
  | { readonly call: number; readonly value: Uint32Array | string }
  | { readonly call: number; readonly failure: WorkerFailure };

/** `running` comes first, as soon as the worker's modules are loaded. */
export type WorkerMessage =
  | { readonly running: true }
  | { readonly ready: TokenizerManifest }
  | { readonly failed: WorkerFailure }
  | { readonly replies: readonly WorkerReply[] };
