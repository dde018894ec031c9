export type Json = Readonly<Record<string, unknown>>;

interface Frequencies {
  readonly radians: readonly number[];
  /** Factor of cos and sin. */
  readonly magnitude: number;
}

const powers = (theta: number, width: number): number[] =>
  Array.from({ length: width / 2 }, (_, i) => theta ** ((-2 * i) / width));

/** Hugging Face's `_compute_yarn_parameters`; the ramp is over the original context where the config names it. */
function yarn(s: Json, theta: number, width: number, context: number): Frequencies {
  const factor = s.factor as number;
  const original = (s.original_max_position_embeddings as number | undefined) ?? context;
  const edge = (turns: number): number =>
    (width * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const low = Math.max(Math.floor(edge((s.beta_fast as number | undefined) ?? 32)), 0);
  let high = Math.min(Math.ceil(edge((s.beta_slow as number | undefined) ?? 1)), width - 1);
  if (high === low) high += 0.001;
  const mscale = (m: number): number => 0.1 * m * Math.log(factor) + 1;
  const both = s.mscale !== undefined && s.mscale_all_dim !== undefined;
  const usual = both ? mscale(s.mscale as number) / mscale(s.mscale_all_dim as number) : mscale(1);
  return {
    radians: powers(theta, width).map((f, i) => {
      const slow = Math.min(1, Math.max(0, (i - low) / (high - low)));
      return slow * (f / factor) + (1 - slow) * f;
    }),
    magnitude: (s.attention_factor as number | undefined) ?? usual,
  };
}

/** Llama 3.1's rule, by wavelength. */
function llama3(s: Json, f: number): number {
  const factor = s.factor as number;
  const [low, high] = [s.low_freq_factor as number, s.high_freq_factor as number];
  const original = s.original_max_position_embeddings as number;
  const wave = (2 * Math.PI) / f;
  if (wave < original / high) return f;
  if (wave > original / low) return f / factor;
  const smooth = (original / wave - low) / (high - low);
  return ((1 - smooth) * f) / factor + smooth * f;
}

function frequencies(config: Json, width: number, length: number): Frequencies {
  const theta = (config.rope_theta as number | undefined) ?? 10000;
  const context = config.max_position_embeddings as number;
  const s = (config.rope_scaling ?? {}) as Json;
  const factor = s.factor as number;
  const plain = powers(theta, width);
  switch (s.rope_type ?? s.type ?? 'default') {
    case 'linear':
      return { radians: plain.map((f) => f / factor), magnitude: 1 };
    case 'dynamic': {
      const stretch = (factor * Math.max(length, context)) / context - (factor - 1);
      return { radians: powers(theta * stretch ** (width / (width - 2)), width), magnitude: 1 };
    }
    case 'llama3':
      return { radians: plain.map((f) => llama3(s, f)), magnitude: 1 };
    case 'yarn':
      return yarn(s, theta, width, context);
    default:
      return { radians: plain, magnitude: 1 };
  }
}

/** Rotates each head of a row: dimension i goes with i + width / 2. */
export function ropeOf(
  config: Json,
  width: number,
): (x: readonly number[], position: number, length: number) => number[] {
  return (x, position, length) => {
    const { radians, magnitude } = frequencies(config, width, length);
    const half = width / 2;
    const y = [...x];
    for (let head = 0; head < x.length; head += width) {
      for (let i = 0; i < half; i++) {
        const angle = position * (radians[i] as number);
        const [a, b] = [x[head + i] as number, x[head + half + i] as number];
        y[head + i] = (a * Math.cos(angle) - b * Math.sin(angle)) * magnitude;
        y[head + half + i] = (b * Math.cos(angle) + a * Math.sin(angle)) * magnitude;
      }
    }
    return y;
  };
}
