import type { Value } from '../ir/value.js';
import { mergeHeads, splitHeads } from '../nn/heads.js';
import type { Scope } from '../nn/scope.js';
import type { SourceInputs } from '../nn/source_inputs.js';
import type { TextInputs } from '../nn/text_inputs.js';
import { activation } from '../ops/activation.js';
import type { Activation } from '../ops/activation_functions.js';
import { add, mul } from '../ops/binary.js';
import { linear } from '../ops/linear.js';
import { scalar } from '../ops/scalar.js';
import type { ConfigReader } from '../weights/config.js';
import type { TextConfig, TextFamily } from './family.js';
import { expectMultiple, layerCount, readActivation } from './llama_config.js';

/** One side of the model. */
interface Stack {
  readonly layers: number;
  readonly heads: number; // H, divides C
  readonly mlpDim: number; // F
}

export interface BlenderbotConfig extends TextConfig {
  readonly sourceLength: number;
  readonly dim: number; // C
  readonly encoder: Stack;
  readonly decoder: Stack;
  readonly activation: Activation;
  readonly embedScale: number;
  readonly tied: boolean;
}

/** Of `nn.LayerNorm`, which the configuration has no say in. */
const eps = 1e-5;

const bias = { bias: true };

const scaleOf = (c: BlenderbotConfig, stack: Stack): number => (c.dim / stack.heads) ** -0.5;

/** One of an attention's projections, by heads: x [T, C] → [T, H, D]. */
const project = (s: Scope, c: BlenderbotConfig, x: Value, name: string, stack: Stack): Value =>
  splitHeads(s.linear(x, `${name}_proj`, c.dim, bias), stack.heads);

/** q, k and v of rows x [T, C]. */
const projections = (s: Scope, c: BlenderbotConfig, x: Value, stack: Stack): [Value, Value, Value] =>
  ['q', 'k', 'v'].map((name) => project(s, c, x, name, stack)) as [Value, Value, Value];

/** The residual sum after an attention's output y [T, H, D]. */
const attended = (s: Scope, c: BlenderbotConfig, x: Value, y: Value): Value =>
  add(x, s.linear(mergeHeads(y), 'out_proj', c.dim, bias));

function mlp(s: Scope, c: BlenderbotConfig, x: Value, { mlpDim }: Stack): Value {
  const hidden = s.linear(s.layerNorm(x, 'final_layer_norm', eps), 'fc1', mlpDim, bias);
  return add(x, s.linear(activation(c.activation, hidden), 'fc2', c.dim, bias));
}

/** Both sides have positions of their own and share the words. */
function embed(s: Scope, side: Scope, c: BlenderbotConfig, inputs: TextInputs | SourceInputs): Value {
  const words = s.embedding(inputs.tokens, 'shared', c.vocabSize, c.dim);
  return add(
    c.embedScale === 1 ? words : mul(words, scalar(words, c.embedScale)),
    side.embedding(inputs.positions, 'embed_positions', c.contextLength, c.dim),
  );
}

function encode(scope: Scope, c: BlenderbotConfig, inputs: SourceInputs): Value[] {
  const s = scope.at('model');
  const side = s.at('encoder');
  let x = embed(s, side, c, inputs);
  const hidden: Value[] = [];
  for (let i = 0; i < c.encoder.layers; i++) {
    hidden.push(x);
    const layer = side.at('layers').at(i);
    const self = layer.at('self_attn');
    const [q, k, v] = projections(self, c, layer.layerNorm(x, 'self_attn_layer_norm', eps), c.encoder);
    x = attended(self, c, x, inputs.attend(q, k, v, { scale: scaleOf(c, c.encoder) }));
    x = mlp(layer, c, x, c.encoder);
  }
  const last = side.layerNorm(x, 'layer_norm', eps);
  for (let i = 0; i < c.decoder.layers; i++) {
    const cross = s.at('decoder').at('layers').at(i).at('encoder_attn');
    inputs.keep(i, project(cross, c, last, 'k', c.decoder), project(cross, c, last, 'v', c.decoder));
  }
  return [...hidden, last];
}

function forward(scope: Scope, c: BlenderbotConfig, inputs: TextInputs): Value[] {
  const s = scope.at('model');
  const side = s.at('decoder');
  const scale = scaleOf(c, c.decoder);
  let x = embed(s, side, c, inputs);
  const hidden: Value[] = [];
  for (let i = 0; i < c.decoder.layers; i++) {
    hidden.push(x);
    const layer = side.at('layers').at(i);
    const [self, cross] = [layer.at('self_attn'), layer.at('encoder_attn')];
    const [q, k, v] = projections(self, c, layer.layerNorm(x, 'self_attn_layer_norm', eps), c.decoder);
    x = attended(self, c, x, inputs.attend(i, q, k, v, { scale }));
    const query = project(cross, c, layer.layerNorm(x, 'encoder_attn_layer_norm', eps), 'q', c.decoder);
    x = attended(cross, c, x, inputs.attendSource(i, query, { scale }));
    x = mlp(layer, c, x, c.decoder);
  }
  return [...hidden, side.layerNorm(x, 'layer_norm', eps)];
}

function head(s: Scope, c: BlenderbotConfig, hidden: Value): Value {
  const owner = c.tied ? s.at('model').at('shared') : s.at('lm_head');
  const logits = linear(hidden, owner.param('weight', [c.vocabSize, c.dim]));
  return add(logits, s.param('final_logits_bias', [1, c.vocabSize]));
}

/** @param least Layers: a decoder without any would not read its source. */
function readStack(config: ConfigReader, side: string, dim: number, least: number): Stack {
  const heads = config.num(`${side}_attention_heads`, { integer: true, min: 1 });
  expectMultiple(config, 'd_model', dim, heads, `${side}_attention_heads`);
  return {
    layers: config.num(`${side}_layers`, { ...layerCount, min: least }),
    heads,
    mlpDim: config.num(`${side}_ffn_dim`, { integer: true, min: 1 }),
  };
}

/** What ParlAI's files say of their networks, which this one has at these values only. */
const fixed = {
  add_bias_logits: false,
  add_final_layer_norm: true,
  extra_layer_norm: false,
  extra_pos_embeddings: 0,
  layernorm_variant: 'prelayernorm',
  normalize_before: true,
  normalize_embedding: false,
  static_position_embeddings: false,
};

function readConfig(config: ConfigReader): BlenderbotConfig {
  for (const [field, value] of Object.entries(fixed)) config.only(field, value);
  // The number of the encoder's layers again, and what other variants of layer norms read.
  config.unused('num_hidden_layers', 'do_blenderbot_90_layernorm', 'unk_token_id');
  const dim = config.num('d_model', { integer: true, min: 1 });
  const positions = config.num('max_position_embeddings', { integer: true, min: 1 });
  return {
    vocabSize: config.num('vocab_size', { integer: true, min: 1 }),
    contextLength: positions,
    sourceLength: positions,
    unbounded: false,
    dim,
    encoder: readStack(config, 'encoder', dim, 0),
    decoder: readStack(config, 'decoder', dim, 1),
    activation: readActivation(config, 'activation_function', 'gelu'),
    embedScale: config.bool('scale_embedding', { default: false }) ? Math.sqrt(dim) : 1,
    tied: config.bool('tie_word_embeddings', { default: true }),
  };
}

/** Blenderbot: an encoder and a decoder of layers with norms before, learned positions. Roller et al. 2020, https://arxiv.org/abs/2004.13637 */
export const blenderbot: TextFamily<BlenderbotConfig> = {
  name: 'blenderbot',
  modelTypes: ['blenderbot'],
  layout: {
    copies: {
      'model.shared.weight': ['model.encoder.embed_tokens.weight', 'model.decoder.embed_tokens.weight'],
    },
  },
  readConfig,
  encode,
  forward,
  head,
  generationDefaults: {
    bos_token_id: 1,
    eos_token_id: 2,
    pad_token_id: 0,
    decoder_start_token_id: 1,
    encoder_no_repeat_ngram_size: 3,
    forced_eos_token_id: 2,
  },
};
