import { activate } from './oracle_activation.js';
import { type Json, ropeOf } from './oracle_rope.js';

/** A tensor as its checkpoint stores it. */
export interface Stored {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A checkpoint as the oracle reads it. */
export interface OracleModel {
  readonly config: Json;
  /** By the names with GPT-2's `transformer.` prefix. */
  readonly weights: ReadonlyMap<string, Stored>;
}

/** Keys and values of one layer, a row for each position. */
export interface Cache {
  readonly keys: number[][];
  readonly values: number[][];
}

interface Attention {
  readonly heads: number;
  readonly kvHeads: number;
  readonly scale: number;
  /** 0: all. */
  readonly window: number;
}

const tensor = ({ weights }: OracleModel, name: string): Stored => {
  const found = weights.get(name);
  if (!found) throw new Error(`oracle: no tensor ${name}`);
  return found;
};

/** The vector itself, or undefined where the model has no such bias. */
const vector = ({ weights }: OracleModel, name: string): Float32Array | undefined => weights.get(name)?.data;

const num = (config: Json, key: string): number => config[key] as number;

/** y[n] = Σ w[n][k] x[k] + b[n]. */
export function dense(model: OracleModel, name: string, x: readonly number[]): number[] {
  const { shape, data } = tensor(model, `${name}.weight`);
  const bias = vector(model, `${name}.bias`);
  const [rows = 0, width = 0] = shape;
  return Array.from({ length: rows }, (_, n) => {
    let sum = 0;
    for (let k = 0; k < width; k++) sum += (data[n * width + k] as number) * (x[k] as number);
    return sum + (bias?.[n] ?? 0);
  });
}

/** GPT-2's Conv1D: y[n] = Σ w[k][n] x[k] + b[n]. */
function conv(model: OracleModel, name: string, x: readonly number[]): number[] {
  const { shape, data } = tensor(model, `${name}.weight`);
  const bias = tensor(model, `${name}.bias`).data;
  const [depth = 0, columns = 0] = shape;
  return Array.from({ length: columns }, (_, n) => {
    let sum = bias[n] as number;
    for (let k = 0; k < depth; k++) sum += (data[k * columns + n] as number) * (x[k] as number);
    return sum;
  });
}

export function row(model: OracleModel, name: string, index: number): number[] {
  const { shape, data } = tensor(model, name);
  const width = shape[1] as number;
  return Array.from(data.subarray(index * width, (index + 1) * width));
}

function rms(model: OracleModel, name: string, eps: number, x: readonly number[]): number[] {
  const weight = tensor(model, `${name}.weight`).data;
  const square = x.reduce((s, v) => s + v * v, 0) / x.length;
  return x.map((v, i) => (v / Math.sqrt(square + eps)) * (weight[i] as number));
}

export function layerNorm(model: OracleModel, name: string, eps: number, x: readonly number[]): number[] {
  const weight = tensor(model, `${name}.weight`).data;
  const bias = tensor(model, `${name}.bias`).data;
  const mean = x.reduce((s, v) => s + v, 0) / x.length;
  const variance = x.reduce((s, v) => s + (v - mean) ** 2, 0) / x.length;
  return x.map(
    (v, i) => ((v - mean) / Math.sqrt(variance + eps)) * (weight[i] as number) + (bias[i] as number),
  );
}

export const plus = (a: readonly number[], b: readonly number[]): number[] =>
  a.map((v, i) => v + (b[i] as number));

/** One query row over all keys so far. */
export function attend(
  q: readonly number[],
  cache: Cache,
  { heads, kvHeads, scale, window }: Attention,
): number[] {
  const width = q.length / heads;
  const last = cache.keys.length - 1;
  const first = window > 0 ? Math.max(0, last - window + 1) : 0;
  const out: number[] = [];
  for (let h = 0; h < heads; h++) {
    const shared = Math.floor(h / (heads / kvHeads)) * width;
    const scores: number[] = [];
    for (let j = first; j <= last; j++) {
      let dot = 0;
      for (let d = 0; d < width; d++)
        dot += (q[h * width + d] as number) * (cache.keys[j]?.[shared + d] as number);
      scores.push(dot * scale);
    }
    const top = Math.max(...scores);
    const weights = scores.map((s) => Math.exp(s - top));
    const total = weights.reduce((s, w) => s + w, 0);
    for (let d = 0; d < width; d++) {
      let sum = 0;
      weights.forEach((w, j) => {
        sum += (w / total) * (cache.values[first + j]?.[shared + d] as number);
      });
      out.push(sum);
    }
  }
  return out;
}

type Forward = (id: number, position: number, length: number) => number[];

function gpt2(model: OracleModel): Forward {
  const { config } = model;
  const width = num(config, 'n_embd');
  const heads = num(config, 'n_head');
  const eps = (config.layer_norm_epsilon as number | undefined) ?? 1e-5;
  const act = activate((config.activation_function as string | undefined) ?? 'gelu_new');
  const caches = Array.from({ length: num(config, 'n_layer') }, (): Cache => ({ keys: [], values: [] }));
  const root = 'transformer';
  return (id, position) => {
    let x = plus(row(model, `${root}.wte.weight`, id), row(model, `${root}.wpe.weight`, position));
    caches.forEach((cache, i) => {
      const at = `${root}.h.${i}`;
      const qkv = conv(model, `${at}.attn.c_attn`, layerNorm(model, `${at}.ln_1`, eps, x));
      cache.keys.push(qkv.slice(width, 2 * width));
      cache.values.push(qkv.slice(2 * width));
      let scale = config.scale_attn_weights === false ? 1 : 1 / Math.sqrt(width / heads);
      if (config.scale_attn_by_inverse_layer_idx) scale /= i + 1;
      const mixed = attend(qkv.slice(0, width), cache, { heads, kvHeads: heads, scale, window: 0 });
      x = plus(x, conv(model, `${at}.attn.c_proj`, mixed));
      const inner = conv(model, `${at}.mlp.c_fc`, layerNorm(model, `${at}.ln_2`, eps, x)).map(act);
      x = plus(x, conv(model, `${at}.mlp.c_proj`, inner));
    });
    const head = config.tie_word_embeddings === false ? 'lm_head' : `${root}.wte`;
    return dense(model, head, layerNorm(model, `${root}.ln_f`, eps, x));
  };
}

/** Attention window of a layer; 0: none. Hugging Face's configuration classes of these families. */
function windowOf(config: Json, layer: number): number {
  const window = (config.sliding_window as number | null | undefined) ?? 0;
  if (config.model_type === 'mistral') return window;
  if (!config.use_sliding_window) return 0;
  const types = config.layer_types as readonly string[] | undefined;
  const slides = types ? types[layer] === 'sliding_attention' : layer >= num(config, 'max_window_layers');
  return slides ? window : 0;
}

function llama(model: OracleModel): Forward {
  const { config } = model;
  const headDim =
    (config.head_dim as number | undefined) ??
    num(config, 'hidden_size') / num(config, 'num_attention_heads');
  const eps = num(config, 'rms_norm_eps');
  const act = activate(config.hidden_act as string);
  const rotate = ropeOf(config, headDim);
  const caches = Array.from(
    { length: num(config, 'num_hidden_layers') },
    (): Cache => ({ keys: [], values: [] }),
  );
  const normed = (name: string, x: number[]): number[] => {
    if (config.model_type !== 'qwen3') return x;
    return Array.from({ length: x.length / headDim }, (_, h) =>
      rms(model, name, eps, x.slice(h * headDim, (h + 1) * headDim)),
    ).flat();
  };
  return (id, position, length) => {
    let x = row(model, 'model.embed_tokens.weight', id);
    caches.forEach((cache, i) => {
      const at = `model.layers.${i}`;
      const y = rms(model, `${at}.input_layernorm`, eps, x);
      const turned = (name: string): number[] =>
        rotate(
          normed(`${at}.self_attn.${name}_norm`, dense(model, `${at}.self_attn.${name}_proj`, y)),
          position,
          length,
        );
      const q = turned('q');
      const k = turned('k');
      cache.keys.push(k);
      cache.values.push(dense(model, `${at}.self_attn.v_proj`, y));
      const mixed = attend(q, cache, {
        heads: q.length / headDim,
        kvHeads: k.length / headDim,
        scale: headDim ** -0.5,
        window: windowOf(config, i),
      });
      x = plus(x, dense(model, `${at}.self_attn.o_proj`, mixed));
      const z = rms(model, `${at}.post_attention_layernorm`, eps, x);
      const up = dense(model, `${at}.mlp.up_proj`, z);
      const gated = dense(model, `${at}.mlp.gate_proj`, z).map((g, f) => act(g) * (up[f] as number));
      x = plus(x, dense(model, `${at}.mlp.down_proj`, gated));
    });
    const head = config.tie_word_embeddings === true ? 'model.embed_tokens' : 'lm_head';
    return dense(model, head, rms(model, 'model.norm', eps, x));
  };
}

/**
 * Logits after each of `ids`, computed a token at a time in float64 with the definitions of the papers and of Hugging Face transformers
 * v4.44. `lengthAt` says how long the sequence is when a position is computed, which dynamic RoPE asks: by default all of them.
 */
export function oracleLogits(
  model: OracleModel,
  ids: readonly number[],
  lengthAt: (position: number) => number = () => ids.length,
): number[][] {
  const forward = model.config.model_type === 'gpt2' ? gpt2(model) : llama(model);
  return ids.map((id, position) => forward(id, position, lengthAt(position)));
}

/** Greedy continuation of a prompt, and the logits that each token was chosen from. */
export function oracleGreedy(
  model: OracleModel,
  prompt: readonly number[],
  count: number,
): { tokens: number[]; logits: number[][] } {
  const forward = model.config.model_type === 'gpt2' ? gpt2(model) : llama(model);
  const tokens: number[] = [];
  const logits: number[][] = [];
  let last: number[] = [];
  prompt.forEach((id, position) => {
    last = forward(id, position, prompt.length);
  });
  for (let n = 0; n < count; n++) {
    logits.push(last);
    const id = last.indexOf(Math.max(...last));
    tokens.push(id);
    const length = prompt.length + tokens.length;
    if (n + 1 < count) last = forward(id, length - 1, length);
  }
  return { tokens, logits };
}
