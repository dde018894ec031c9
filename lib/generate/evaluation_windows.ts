/** A stretch of a text's tokens that a model sees at once. */
export interface EvaluationWindow {
  readonly begin: number;
  readonly end: number;
  /** The first of its tokens that no earlier window has counted. */
  readonly from: number;
}

/**
 * Windows of up to `room` tokens over a text of `tokens`, each half of `context` further than the one before: together they count
 * every token once, and all but the first window's with at least the half that lies before them. `room` is `context`, or one less
 * where BOS takes a position; `context` is at least 2.
 */
export function evaluationWindows(tokens: number, room: number, context: number): EvaluationWindow[] {
  const stride = Math.floor(context / 2);
  const windows: EvaluationWindow[] = [];
  for (let begin = 0, from = 0; from < tokens; begin += stride) {
    const end = Math.min(begin + room, tokens);
    windows.push({ begin, end, from });
    from = end;
  }
  return windows;
}
