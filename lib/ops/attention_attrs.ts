/** What attention computes, beyond its operands. */
export interface AttentionAttrs extends Record<string, number | boolean> {
  /** Factor of q·k. */
  readonly scale: number;
  /** A query at i sees keys j <= i only. */
  readonly causal: boolean;
  /** A query at i sees keys with i − j < window only; 0: all. */
  readonly window: number;
  /** c > 0: scores become c · tanh(score / c). */
  readonly softcap: number;
}
