import { ModelFormatError, UnsupportedError } from '../errors.js';
import { type RopeFrequencies, type RopeScaling, ropeFrequencies } from '../nn/rope_frequencies.js';
import type { Activation } from '../ops/activation_functions.js';
import type { ConfigReader, NumberRule } from '../weights/config.js';

/** Far above any real one: the graph is built before the weights are looked at. */
export const layerCount: NumberRule = { integer: true, min: 0, max: 4096 };
/** How far positions may be stretched, likewise. */
const stretch: NumberRule = { min: 1, max: 2 ** 20 };
/** Scores grow with the square of it. */
const magnification: NumberRule = { min: 0, max: 1000 };

/** Hugging Face's names of activations. */
const activationNames: Readonly<Record<string, Activation>> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_accurate: 'gelu_tanh',
  quick_gelu: 'quick_gelu',
  relu: 'relu',
  tanh: 'tanh',
  sigmoid: 'sigmoid',
  linear: 'none',
};

/** Reads an activation's name. Throws UnsupportedError for one that we do not have. */
export function readActivation(config: ConfigReader, key: string, fallback: string): Activation {
  const name = config.str(key, { default: fallback });
  const known = Object.hasOwn(activationNames, name) ? activationNames[name] : undefined;
  if (!known)
    throw new UnsupportedError(
      `config.json: ${key} "${name}" is not supported; known: ${Object.keys(activationNames).join(', ')}`,
    );
  return known;
}

/** Throws ModelFormatError unless `value` of the field `key` is a multiple of `unit`, which may be the value of another field. */
export function expectMultiple(
  config: ConfigReader,
  key: string,
  value: number,
  unit: number,
  unitKey?: string,
): void {
  if (value % unit === 0) return;
  const wanted = unitKey === undefined ? String(unit) : `${unitKey} ${unit}`;
  throw new ModelFormatError(`${config.where}: expected ${key} to be a multiple of ${wanted}, got ${value}`);
}

/** `rope_theta` and `rope_scaling` (or `rope_parameters`, their newer form). Unbounded: dynamic scaling follows any length. */
export function readRope(
  config: ConfigReader,
  width: number,
  contextLength: number,
): { rope: RopeFrequencies; unbounded: boolean } {
  const parameters = config.object('rope_parameters');
  const theta = (parameters ?? config).num('rope_theta', {
    min: 1,
    default: config.num('rope_theta', { min: 1, default: 10000 }),
  });
  const scaling = readScaling(parameters ?? config.object('rope_scaling'), contextLength);
  const rope = ropeFrequencies({ theta, width, contextLength, scaling });
  const longer = rope.dynamic?.(2 * contextLength) ?? [];
  if (![...rope.invFreq, ...longer, rope.scale].every(Number.isFinite)) {
    throw new ModelFormatError(
      `${config.where}: expected rope_theta, head_dim and rope_scaling to give finite frequencies, got theta ${theta}, width ${width}, ${JSON.stringify(scaling)}`,
    );
  }
  return { rope, unbounded: scaling.type === 'dynamic' };
}

function readScaling(s: ConfigReader | undefined, contextLength: number): RopeScaling {
  if (!s) return { type: 'default' };
  const type = s.str('rope_type', { default: s.str('type', { default: 'default' }) });
  const original = (): number =>
    s.num('original_max_position_embeddings', { integer: true, min: 1, default: contextLength });
  switch (type) {
    case 'default':
      return { type };
    case 'linear':
    case 'dynamic':
      return { type, factor: s.num('factor', stretch) };
    case 'llama3':
      return {
        type,
        factor: s.num('factor', stretch),
        lowFreqFactor: s.num('low_freq_factor'),
        highFreqFactor: s.num('high_freq_factor'),
        originalContext: original(),
      };
    case 'yarn':
      return readYarn(s, original());
    default:
      throw new UnsupportedError(
        `config.json: rope_scaling type "${type}" is not supported; known: default, linear, dynamic, llama3, yarn`,
      );
  }
}

function readYarn(s: ConfigReader, originalContext: number): RopeScaling {
  const factor = s.num('factor', stretch);
  const magnitude = (m: number): number => (factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1);
  const mscale = s.num('mscale', { ...magnification, default: 0 });
  const mscaleAll = s.num('mscale_all_dim', { ...magnification, default: 0 });
  const byDefault = mscale && mscaleAll ? magnitude(mscale) / magnitude(mscaleAll) : magnitude(1);
  return {
    type: 'yarn',
    factor,
    originalContext,
    betaFast: s.num('beta_fast', { min: 0, default: 32 }),
    betaSlow: s.num('beta_slow', { min: 0, default: 1 }),
    attentionFactor: s.num('attention_factor', { ...magnification, default: byDefault }),
    truncate: s.bool('truncate', { default: true }),
  };
}

/** Qwen's windows: with `use_sliding_window`, the layers that `layer_types` names, else those from `max_window_layers` on; 0: none. */
export function readLayerWindows(config: ConfigReader, layers: number): number[] {
  const used = config.bool('use_sliding_window', { default: false });
  const window = config.num('sliding_window', { integer: true, min: 1, default: 0 });
  const from = config.num('max_window_layers', { integer: true, min: 0, default: 28 });
  const types = readLayerTypes(config, layers);
  return Array.from({ length: layers }, (_, i) => {
    const slides = types ? types[i] === 'sliding_attention' : i >= from;
    return used && slides ? window : 0;
  });
}

function readLayerTypes(config: ConfigReader, layers: number): readonly string[] | undefined {
  const types = config.strings('layer_types');
  if (types && types.length !== layers)
    throw new ModelFormatError(
      `${config.where}: expected layer_types of ${layers} layers, got ${types.length}`,
    );
  const strange = types?.find((type) => type !== 'full_attention' && type !== 'sliding_attention');
  if (strange === undefined) return types;
  throw new UnsupportedError(
    `${config.where}: layer_types "${strange}" is not supported; known: full_attention, sliding_attention`,
  );
}
