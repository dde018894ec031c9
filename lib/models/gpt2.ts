import type { Value } from '../ir/value.js';
import { mergeHeads, splitHeads } from '../nn/heads.js';
import type { Scope } from '../nn/scope.js';
import type { TextInputs } from '../nn/text_inputs.js';
import { activation } from '../ops/activation.js';
import type { Activation } from '../ops/activation_functions.js';
import { add } from '../ops/binary.js';
import { linear } from '../ops/linear.js';
import { slice } from '../ops/slice.js';
import type { ConfigReader } from '../weights/config.js';
import type { TextConfig, TextFamily } from './family.js';
import { expectMultiple, layerCount, readActivation } from './llama_config.js';

export interface Gpt2Config extends TextConfig {
  readonly dim: number; // C
  readonly layers: number;
  readonly heads: number; // H, divides C
  readonly mlpDim: number; // F
  readonly eps: number;
  readonly activation: Activation;
  readonly scaleByHeadDim: boolean;
  readonly scaleByLayer: boolean;
  readonly tied: boolean;
}

/** x [T, C] → [T, C]. */
function attention(s: Scope, c: Gpt2Config, inputs: TextInputs, layer: number, x: Value): Value {
  const qkv = s.linear(x, 'c_attn', 3 * c.dim, { bias: true });
  const [q, k, v] = [0, 1, 2].map((i) => splitHeads(slice(qkv, 1, i * c.dim, (i + 1) * c.dim), c.heads)) as [
    Value,
    Value,
    Value,
  ];
  const scale = (c.scaleByHeadDim ? (c.dim / c.heads) ** -0.5 : 1) / (c.scaleByLayer ? layer + 1 : 1);
  return s.linear(mergeHeads(inputs.attend(layer, q, k, v, { scale })), 'c_proj', c.dim, { bias: true });
}

function mlp(s: Scope, c: Gpt2Config, x: Value): Value {
  return s.linear(activation(c.activation, s.linear(x, 'c_fc', c.mlpDim, { bias: true })), 'c_proj', c.dim, {
    bias: true,
  });
}

function forward(s: Scope, c: Gpt2Config, inputs: TextInputs): Value[] {
  let x = add(
    s.embedding(inputs.tokens, 'wte', c.vocabSize, c.dim),
    s.embedding(inputs.positions, 'wpe', c.contextLength, c.dim),
  );
  const hidden: Value[] = [];
  for (let i = 0; i < c.layers; i++) {
    hidden.push(x);
    const layer = s.at('h').at(i);
    x = add(x, attention(layer.at('attn'), c, inputs, i, layer.layerNorm(x, 'ln_1', c.eps)));
    x = add(x, mlp(layer.at('mlp'), c, layer.layerNorm(x, 'ln_2', c.eps)));
  }
  return [...hidden, s.layerNorm(x, 'ln_f', c.eps)];
}

function readConfig(config: ConfigReader): Gpt2Config {
  const dim = config.num('n_embd', { integer: true, min: 1 });
  const heads = config.num('n_head', { integer: true, min: 1 });
  expectMultiple(config, 'n_embd', dim, heads, 'n_head');
  config.unused('n_ctx'); // an old name of n_positions, which stands beside it
  // Upcasting the scores changes mixed-precision arithmetic only; ours is f32 throughout.
  config.bool('reorder_and_upcast_attn', { default: false });
  return {
    vocabSize: config.num('vocab_size', { integer: true, min: 1 }),
    contextLength: config.num('n_positions', { integer: true, min: 1 }),
    unbounded: false,
    dim,
    heads,
    layers: config.num('n_layer', layerCount),
    mlpDim: config.num('n_inner', { integer: true, min: 1, default: 4 * dim }),
    eps: config.num('layer_norm_epsilon', { min: 0, default: 1e-5 }),
    activation: readActivation(config, 'activation_function', 'gelu_new'),
    scaleByHeadDim: config.bool('scale_attn_weights', { default: true }),
    scaleByLayer: config.bool('scale_attn_by_inverse_layer_idx', { default: false }),
    tied: config.bool('tie_word_embeddings', { default: true }),
  };
}

/** GPT-2: learned positions, layer norms, one projection for q, k and v. Radford et al. 2019. */
export const gpt2: TextFamily<Gpt2Config> = {
  name: 'gpt2',
  modelTypes: ['gpt2'],
  layout: {
    transposed: /\.c_(attn|proj|fc)\.weight$/, // Conv1D stores [in, out]
    optionalPrefix: 'transformer.',
    ignored: [/\.attn\.(masked_)?bias$/],
  },
  initialization: { ones: /\bln_\w+\.weight$/, residual: /\.c_proj\.weight$/ },
  readConfig,
  forward,
  head: (s, c, hidden) =>
    linear(hidden, s.at(c.tied ? 'wte' : 'lm_head').param('weight', [c.vocabSize, c.dim])),
};
