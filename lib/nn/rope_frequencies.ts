/** `rope_scaling` of a config: how rotary frequencies are stretched beyond the trained context. */
export type RopeScaling =
  | { readonly type: 'default' }
  | { readonly type: 'linear' | 'dynamic'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalContext: number;
    }
  | {
      readonly type: 'yarn';
      readonly factor: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** Factor of cos and sin. */
      readonly attentionFactor: number;
      readonly originalContext: number;
      readonly truncate: boolean;
    };

export interface RopeConfig {
  readonly theta: number;
  /** Numbers of a head that are rotated. */
  readonly width: number;
  readonly scaling: RopeScaling;
  /** Positions that the model was made for. */
  readonly contextLength: number;
}

/** Rotary frequencies of a model: radians a position, width / 2 of them. */
export interface RopeFrequencies {
  readonly invFreq: readonly number[];
  /** Factor of cos and sin. */
  readonly scale: number;
  /** Frequencies of a sequence of that length, where they depend on it ("dynamic" scaling). */
  readonly dynamic?: (length: number) => readonly number[];
}

const base = (theta: number, width: number): number[] =>
  Array.from({ length: width / 2 }, (_, i) => Math.fround(1 / theta ** ((2 * i) / width)));

/** Frequencies by config. Su et al. 2021, https://arxiv.org/abs/2104.09864 */
export function ropeFrequencies(c: RopeConfig): RopeFrequencies {
  const invFreq = base(c.theta, c.width);
  const s = c.scaling;
  switch (s.type) {
    case 'default':
      return { invFreq, scale: 1 };
    case 'linear':
      return { invFreq: invFreq.map((f) => Math.fround(f / s.factor)), scale: 1 };
    case 'dynamic':
      return { invFreq, scale: 1, dynamic: (length) => dynamicFrequencies(c, s.factor, length) };
    case 'llama3':
      return { invFreq: invFreq.map((f) => Math.fround(llama3Frequency(f, s))), scale: 1 };
    case 'yarn':
      return { invFreq: yarnFrequencies(c, s), scale: s.attentionFactor };
  }
}

/** NTK-aware scaling: the base grows with the sequence's own length once that exceeds the trained context. */
function dynamicFrequencies(c: RopeConfig, factor: number, length: number): number[] {
  const stretch = (factor * Math.max(length, c.contextLength)) / c.contextLength - (factor - 1);
  return base(c.theta * stretch ** (c.width / (c.width - 2)), c.width);
}

/** Llama 3.1: long waves are divided by the factor, short ones kept, those between blended linearly. */
function llama3Frequency(f: number, s: Extract<RopeScaling, { type: 'llama3' }>): number {
  const turns = (s.originalContext * f) / (2 * Math.PI);
  if (turns < s.lowFreqFactor) return f / s.factor;
  if (turns > s.highFreqFactor) return f;
  const keep = (turns - s.lowFreqFactor) / (s.highFreqFactor - s.lowFreqFactor);
  return (1 - keep) * (f / s.factor) + keep * f;
}

/** YaRN: interpolates the frequencies that turn seldom within the original context. Peng et al. 2023, https://arxiv.org/abs/2309.00071 */
function yarnFrequencies(c: RopeConfig, s: Extract<RopeScaling, { type: 'yarn' }>): number[] {
  const dimOfTurns = (turns: number): number =>
    (c.width * Math.log(s.originalContext / (turns * 2 * Math.PI))) / (2 * Math.log(c.theta));
  const round = (f: (x: number) => number, x: number): number => (s.truncate ? f(x) : x);
  const low = Math.max(round(Math.floor, dimOfTurns(s.betaFast)), 0);
  const high = Math.min(round(Math.ceil, dimOfTurns(s.betaSlow)), c.width - 1);
  const span = high === low ? 0.001 : high - low;
  return base(c.theta, c.width).map((f, i) => {
    const interpolate = Math.min(Math.max((i - low) / span, 0), 1);
    return Math.fround(interpolate * (f / s.factor) + (1 - interpolate) * f);
  });
}
