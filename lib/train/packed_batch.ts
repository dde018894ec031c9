/** Rows of tokens as a training graph takes them: whole sequences, one after the other. */
export interface PackedBatch {
  readonly tokens: Int32Array; // [T]
  /** Within the sequence. */
  readonly positions: Int32Array; // [T]
  /** The next token of each, or −100. */
  readonly labels: Int32Array; // [T]
  /** Where each sequence begins, and T. */
  readonly starts: Int32Array;
  /** What each label counts. */
  readonly weights: Float32Array; // [T]
  /** Labels that count. */
  readonly count: number;
}

/** A label that counts nothing. */
export const noLabel = -100;

export interface PackOptions {
  /** Id that begins every row, if the model has one: what it will see at the beginning of a prompt. */
  readonly bosTokenId: number | undefined;
  /** What a label counts: 1 / labels of the step, so that gradients of several batches add up to those of the mean. */
  readonly weight: number;
}

/** A window of the token stream, and where documents begin in it. */
export interface TokenRow {
  readonly ids: Int32Array;
  readonly starts: ArrayLike<number>;
}

/** Tokens of a window that {@link packRows} wants for rows of `contextLength`. */
export const windowLength = (contextLength: number, bosTokenId: number | undefined): number =>
  bosTokenId === undefined ? contextLength + 1 : contextLength;

/**
 * Windows as sequences of one batch. Each predicts its ids: from the id before, the first from BOS (without one, it is not predicted).
 * A document within a window is a sequence of its own, whose first id is predicted from the separator before it, and no attention
 * reaches beyond it.
 */
export function packRows(rows: readonly TokenRow[], { bosTokenId, weight }: PackOptions): PackedBatch {
  const skip = bosTokenId === undefined ? 1 : 0;
  const length = rows.reduce((n, { ids }) => n + ids.length - skip, 0);
  const tokens = new Int32Array(length);
  const positions = new Int32Array(length);
  const labels = new Int32Array(length);
  const weights = new Float32Array(length);
  const starts: number[] = [];
  let count = 0;
  let at = 0;
  for (const { ids, starts: documents } of rows) {
    const begins = new Set(Array.from(documents, (start) => start - skip));
    let position = 0;
    for (let i = 0; i + skip < ids.length; i++, at++) {
      if (i === 0 || begins.has(i)) {
        starts.push(at);
        position = 0;
      }
      tokens[at] = i + skip === 0 ? (bosTokenId as number) : (ids[i + skip - 1] as number);
      positions[at] = position++;
      labels[at] = ids[i + skip] as number;
      weights[at] = weight;
      count++;
    }
  }
  return { tokens, positions, labels, weights, starts: Int32Array.from([...starts, length]), count };
}
