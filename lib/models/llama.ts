import { ModelFormatError } from '../errors.js';
import type { Value } from '../ir/value.js';
import { mergeHeads, splitHeads } from '../nn/heads.js';
import type { RopeFrequencies } from '../nn/rope_frequencies.js';
import type { Scope } from '../nn/scope.js';
import type { TextInputs } from '../nn/text_inputs.js';
import { activation } from '../ops/activation.js';
import type { Activation } from '../ops/activation_functions.js';
import { add, mul } from '../ops/binary.js';
import { linear } from '../ops/linear.js';
import { rope } from '../ops/rope.js';
import type { ConfigReader, NumberRule } from '../weights/config.js';
import type { TextConfig, TextFamily } from './family.js';
import { expectMultiple, layerCount, readActivation, readRope } from './llama_config.js';

/** A Llama-like decoder: RMS norms, rotary positions, grouped-query attention, gated MLP. */
export interface LlamaConfig extends TextConfig {
  readonly dim: number; // C
  readonly layers: number;
  readonly heads: readonly number[]; // H of each layer
  readonly kvHeads: readonly number[]; // Hkv of each layer, divides H
  readonly headDim: number; // D
  readonly mlpDim: readonly number[]; // F of each layer
  readonly eps: number;
  readonly activation: Activation;
  readonly rope: RopeFrequencies;
  /** Attention window of each layer; 0: all. */
  readonly windows: readonly number[];
  readonly qkvBias: boolean;
  readonly outputBias: boolean; // of attention's output projection
  readonly mlpBias: boolean;
  readonly qkNorm: boolean; // RMS norm of each q and k head
  readonly tied: boolean; // lm_head shares embed_tokens
}

interface Rotation {
  readonly cos: Value;
  readonly sin: Value;
}

/** x [T, C] → [T, C]. */
function attention(
  s: Scope,
  c: LlamaConfig,
  inputs: TextInputs,
  layer: number,
  x: Value,
  { cos, sin }: Rotation,
): Value {
  const bias = c.qkvBias;
  const heads = (name: string, count: number): Value =>
    splitHeads(s.linear(x, `${name}_proj`, count * c.headDim, { bias }), count);
  const normed = (y: Value, name: string): Value => (c.qkNorm ? s.rmsNorm(y, `${name}_norm`, c.eps) : y);
  const kvHeads = c.kvHeads[layer] as number;
  const q = rope(normed(heads('q', c.heads[layer] as number), 'q'), cos, sin); // [T, H, D]
  const k = rope(normed(heads('k', kvHeads), 'k'), cos, sin); // [T, Hkv, D]
  const y = inputs.attend(layer, q, k, heads('v', kvHeads), {
    scale: c.headDim ** -0.5,
    window: c.windows[layer] ?? 0,
  });
  return s.linear(mergeHeads(y), 'o_proj', c.dim, { bias: c.outputBias });
}

/** (act(x·Wg) ⊙ x·Wu)·Wd. Shazeer 2020, https://arxiv.org/abs/2002.05202 */
function mlp(s: Scope, c: LlamaConfig, layer: number, x: Value): Value {
  const bias = c.mlpBias;
  const width = c.mlpDim[layer] as number;
  const gate = activation(c.activation, s.linear(x, 'gate_proj', width, { bias }));
  return s.linear(mul(gate, s.linear(x, 'up_proj', width, { bias })), 'down_proj', c.dim, { bias });
}

function forward(scope: Scope, c: LlamaConfig, inputs: TextInputs): Value[] {
  const s = scope.at('model');
  let x = s.embedding(inputs.tokens, 'embed_tokens', c.vocabSize, c.dim);
  const rotation = inputs.ropeTable(c.rope);
  const hidden: Value[] = [];
  for (let i = 0; i < c.layers; i++) {
    hidden.push(x);
    const layer = s.at('layers').at(i);
    x = add(
      x,
      attention(layer.at('self_attn'), c, inputs, i, layer.rmsNorm(x, 'input_layernorm', c.eps), rotation),
    );
    x = add(x, mlp(layer.at('mlp'), c, i, layer.rmsNorm(x, 'post_attention_layernorm', c.eps)));
  }
  return [...hidden, s.rmsNorm(x, 'norm', c.eps)];
}

function head(s: Scope, c: LlamaConfig, hidden: Value): Value {
  const owner = c.tied ? s.at('model').at('embed_tokens') : s.at('lm_head');
  return linear(hidden, owner.param('weight', [c.vocabSize, c.dim]));
}

/** Far above any real one. Its frequencies are made before the weights are looked at. */
const maxHeadDim = 2 ** 16;

/** `head_dim`, by default what the model's width leaves for each head. */
function readHeadDim(config: ConfigReader, dim: number, heads: readonly number[]): number {
  let headDim = 0;
  if (config.has('head_dim')) headDim = config.num('head_dim', { integer: true, min: 1 });
  else {
    const [count = config.num('num_attention_heads', { integer: true, min: 1 })] = heads;
    if (heads.some((other) => other !== count))
      throw new ModelFormatError(
        `${config.where}: expected head_dim, as num_attention_heads differs from layer to layer, got no such field`,
      );
    expectMultiple(config, 'hidden_size', dim, count, 'num_attention_heads');
    headDim = dim / count;
  }
  expectMultiple(config, 'head_dim', headDim, 2); // rotary positions turn pairs
  return headDim;
}

/**
 * Configuration that all Llama-like families share; each says what differs. `num_attention_heads`, `num_key_value_heads` and
 * `intermediate_size` may be lists, a number for each layer: what structured pruning leaves.
 */
export function readLlamaConfig(
  config: ConfigReader,
): Omit<LlamaConfig, 'windows' | 'qkvBias' | 'outputBias' | 'mlpBias' | 'qkNorm'> {
  const dim = config.num('hidden_size', { integer: true, min: 1 });
  const layers = config.num('num_hidden_layers', layerCount);
  const width: NumberRule = { integer: true, min: 1 };
  const heads = config.perLayer('num_attention_heads', layers, width);
  const headDim = readHeadDim(config, dim, heads);
  if (headDim > maxHeadDim)
    throw new ModelFormatError(
      `${config.where}: expected head_dim (or hidden_size / num_attention_heads) of at most ${maxHeadDim}, got ${headDim}`,
    );
  const kvHeads = config.has('num_key_value_heads')
    ? config.perLayer('num_key_value_heads', layers, width)
    : heads;
  heads.forEach((count, i) => {
    expectMultiple(config, 'num_attention_heads', count, kvHeads[i] as number, 'num_key_value_heads');
  });
  config.only('partial_rotary_factor', 1);
  const contextLength = config.num('max_position_embeddings', { integer: true, min: 1, default: 2048 });
  const { rope, unbounded } = readRope(config, headDim, contextLength);
  return {
    vocabSize: config.num('vocab_size', { integer: true, min: 1 }),
    contextLength,
    unbounded,
    dim,
    heads,
    kvHeads,
    headDim,
    layers,
    mlpDim: config.perLayer('intermediate_size', layers, width),
    eps: config.num('rms_norm_eps', { min: 0, default: 1e-6 }),
    activation: readActivation(config, 'hidden_act', 'silu'),
    rope,
    tied: config.bool('tie_word_embeddings', { default: false }),
  };
}

/** The graph and checkpoint layout of all Llama-like families. */
export const llamaGraph = {
  forward,
  head,
  layout: { ignored: [/\.rotary_emb\.inv_freq$/] },
  initialization: { ones: /norm\.weight$/, residual: /\.(o_proj|down_proj)\.weight$/ },
};
/** What Llama 1 has none of. */
export const plainLlama = { qkvBias: false, outputBias: false, mlpBias: false, qkNorm: false, windows: [] };

/** Llama 1 to 3.x. Touvron et al. 2023, https://arxiv.org/abs/2302.13971 */
export const llama: TextFamily<LlamaConfig> = {
  ...llamaGraph,
  name: 'llama',
  modelTypes: ['llama'],
  readConfig(config) {
    const bias = config.bool('attention_bias', { default: false });
    return {
      ...readLlamaConfig(config),
      ...plainLlama,
      qkvBias: bias,
      outputBias: bias,
      mlpBias: config.bool('mlp_bias', { default: false }),
    };
  },
};
