/** How late the event loop was. */
export interface LoopDelay {
  /** Of 100 turns, 99 were at most so late, in milliseconds. */
  readonly p99: number;
  readonly max: number;
  /** When the worst ones began, and how late they were: for the message of a test that fails. */
  readonly worst: string;
}

/** Milliseconds between two turns that are asked for. */
const interval = 1;

/**
 * Measures how late a timer of one millisecond is, from now until the function that this returns is called: from one turn to the
 * next without a gap, so that no block is missed, the one before the end not either.
 */
export function measureLoop(): () => LoopDelay {
  const begin = performance.now();
  const delays: { readonly at: number; readonly delay: number }[] = [];
  let last = begin;
  let timer: NodeJS.Timeout;
  const note = (): void => {
    const now = performance.now();
    delays.push({ at: last - begin, delay: now - last - interval });
    last = now;
  };
  const turn = (): void => {
    note();
    timer = setTimeout(turn, interval);
  };
  timer = setTimeout(turn, interval);
  return () => {
    clearTimeout(timer);
    note();
    const sorted = delays.toSorted((a, b) => b.delay - a.delay);
    return {
      p99: sorted[Math.floor(sorted.length / 100)]?.delay ?? 0,
      max: sorted[0]?.delay ?? 0,
      worst: sorted
        .slice(0, 8)
        .map(({ at, delay }) => `${delay.toFixed(1)} at ${at.toFixed(0)} ms`)
        .join(', '),
    };
  };
}
