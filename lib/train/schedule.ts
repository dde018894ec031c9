/** How the learning rate goes up and down: names and formulas are those of Hugging Face's `get_scheduler`. */
export const schedules = [
  'constant',
  'linear',
  'cosine',
  'cosine_with_restarts',
  'polynomial',
  'inverse_sqrt',
  'warmup_stable_decay',
] as const;
export type Schedule = (typeof schedules)[number];

export interface ScheduleOptions {
  readonly schedule: Schedule;
  /** The highest learning rate. */
  readonly learningRate: number;
  /** What `linear`, `cosine`, `cosine_with_restarts` and `warmup_stable_decay` end at. */
  readonly minLearningRate: number;
  readonly warmupSteps: number;
  /** Of `warmup_stable_decay`: the last steps, in which the rate falls in a line. */
  readonly decaySteps: number;
  /** All steps. */
  readonly steps: number;
}

/** Where `polynomial` ends, as torch has it. */
const polynomialEnd = 1e-7;

/** Steps in which `inverse_sqrt` falls by √2 where there is no warm-up, as Hugging Face has it. */
const inverseScale = 10_000;

/** The learning rate of a step, counted from 0: a pure function, so that a resumed run goes on as if it had not stopped. */
export function learningRateAt(step: number, o: ScheduleOptions): number {
  const { learningRate: top, minLearningRate: low, warmupSteps: warmup } = o;
  if (step < warmup) return (top * step) / warmup;
  const progress = Math.min(1, (step - warmup) / Math.max(1, o.steps - warmup));
  const between = (share: number): number => low + (top - low) * share;
  switch (o.schedule) {
    case 'constant':
      return top;
    case 'linear':
      return between(1 - progress);
    case 'cosine':
      return between(0.5 * (1 + Math.cos(Math.PI * progress)));
    case 'cosine_with_restarts':
      return progress >= 1 ? low : between(0.5 * (1 + Math.cos(Math.PI * (progress % 1))));
    case 'polynomial':
      return progress >= 1 ? polynomialEnd : (top - polynomialEnd) * (1 - progress) + polynomialEnd;
    case 'inverse_sqrt':
      return top / Math.sqrt((step - warmup) / (warmup || inverseScale) + 1);
    case 'warmup_stable_decay':
      return between(Math.min(1, (o.steps - step) / Math.max(1, o.decaySteps)));
  }
}
