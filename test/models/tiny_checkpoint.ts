import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '../../lib/weights/write_safetensors.js';
import type { OracleModel, Stored } from './oracle.js';
import type { Json } from './oracle_rope.js';

/** Numbers in [0, 1) by a seed: the generator called mulberry32. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Shapes = Record<string, readonly number[]>;

function gpt2Shapes(c: Json): Shapes {
  const [width, vocab] = [c.n_embd as number, c.vocab_size as number];
  const inner = (c.n_inner as number | null | undefined) ?? 4 * width;
  const shapes: Shapes = {
    'transformer.wte.weight': [vocab, width],
    'transformer.wpe.weight': [c.n_positions as number, width],
    'transformer.ln_f.weight': [width],
    'transformer.ln_f.bias': [width],
  };
  for (let i = 0; i < (c.n_layer as number); i++) {
    const at = `transformer.h.${i}`;
    for (const name of ['ln_1', 'ln_2']) {
      shapes[`${at}.${name}.weight`] = [width];
      shapes[`${at}.${name}.bias`] = [width];
    }
    const convs = {
      'attn.c_attn': [width, 3 * width],
      'attn.c_proj': [width, width],
      'mlp.c_fc': [width, inner],
      'mlp.c_proj': [inner, width],
    };
    for (const [name, shape] of Object.entries(convs)) {
      shapes[`${at}.${name}.weight`] = shape;
      shapes[`${at}.${name}.bias`] = [shape[1] as number];
    }
  }
  if (c.tie_word_embeddings === false) shapes['lm_head.weight'] = [vocab, width];
  return shapes;
}

/** A field that is a number for all layers or a list of one for each. */
const ofLayer = (c: Json, key: string, layer: number): number =>
  (Array.isArray(c[key]) ? c[key][layer] : c[key]) as number;

export function llamaShapes(c: Json): Shapes {
  const [width, vocab] = [c.hidden_size as number, c.vocab_size as number];
  const headDim = (c.head_dim as number | undefined) ?? width / (c.num_attention_heads as number);
  const shapes: Shapes = { 'model.embed_tokens.weight': [vocab, width], 'model.norm.weight': [width] };
  const linear = (name: string, out: number, into: number, bias: unknown): void => {
    shapes[`${name}.weight`] = [out, into];
    if (bias) shapes[`${name}.bias`] = [out];
  };
  for (let i = 0; i < (c.num_hidden_layers as number); i++) {
    const at = `model.layers.${i}`;
    const heads = ofLayer(c, 'num_attention_heads', i);
    const kv = (c.num_key_value_heads === undefined ? heads : ofLayer(c, 'num_key_value_heads', i)) * headDim;
    const inner = ofLayer(c, 'intermediate_size', i);
    shapes[`${at}.input_layernorm.weight`] = [width];
    shapes[`${at}.post_attention_layernorm.weight`] = [width];
    const qkvBias = c.attention_bias || c.model_type === 'qwen2';
    linear(`${at}.self_attn.q_proj`, heads * headDim, width, qkvBias);
    linear(`${at}.self_attn.k_proj`, kv, width, qkvBias);
    linear(`${at}.self_attn.v_proj`, kv, width, qkvBias);
    linear(`${at}.self_attn.o_proj`, width, heads * headDim, c.attention_bias);
    for (const name of ['gate', 'up']) linear(`${at}.mlp.${name}_proj`, inner, width, c.mlp_bias);
    linear(`${at}.mlp.down_proj`, width, inner, c.mlp_bias);
    if (c.model_type === 'qwen3')
      for (const name of ['q', 'k']) shapes[`${at}.self_attn.${name}_norm.weight`] = [headDim];
  }
  if (c.tie_word_embeddings !== true) shapes['lm_head.weight'] = [vocab, width];
  return shapes;
}

function blenderbotShapes(c: Json): Shapes {
  const [width, vocab, positions] = [
    c.d_model as number,
    c.vocab_size as number,
    c.max_position_embeddings as number,
  ];
  const shapes: Shapes = { 'model.shared.weight': [vocab, width], final_logits_bias: [1, vocab] };
  const linear = (name: string, out: number, into: number): void => {
    shapes[`${name}.weight`] = [out, into];
    shapes[`${name}.bias`] = [out];
  };
  const norm = (name: string): void => {
    shapes[`${name}.weight`] = [width];
    shapes[`${name}.bias`] = [width];
  };
  for (const side of ['encoder', 'decoder']) {
    shapes[`model.${side}.embed_positions.weight`] = [positions, width];
    norm(`model.${side}.layer_norm`);
    for (let i = 0; i < (c[`${side}_layers`] as number); i++) {
      const at = `model.${side}.layers.${i}`;
      for (const attention of side === 'encoder' ? ['self_attn'] : ['self_attn', 'encoder_attn']) {
        norm(`${at}.${attention}_layer_norm`);
        for (const name of ['q_proj', 'k_proj', 'v_proj', 'out_proj'])
          linear(`${at}.${attention}.${name}`, width, width);
      }
      norm(`${at}.final_layer_norm`);
      linear(`${at}.fc1`, c[`${side}_ffn_dim`] as number, width);
      linear(`${at}.fc2`, width, c[`${side}_ffn_dim`] as number);
    }
  }
  if (c.tie_word_embeddings === false) shapes['lm_head.weight'] = [vocab, width];
  return shapes;
}

/** The shapes of each architecture; others are Llama's. */
const shapesOf: Readonly<Record<string, (c: Json) => Shapes>> = {
  gpt2: gpt2Shapes,
  blenderbot: blenderbotShapes,
};

/** Matrices keep the size of what goes through them, so that scores, activations and logits are neither flat nor saturated. */
function fill(name: string, shape: readonly number[], random: () => number): Stored {
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const embedding = /wte|wpe|embed_|shared/.test(name);
  const norm = /norm|ln_/.test(name) && name.endsWith('weight');
  const fanIn = /c_(attn|fc|proj)/.test(name) ? shape[0] : shape[1];
  const spread = embedding ? 0.5 : shape.length === 1 ? 0.2 : 1.5 / Math.sqrt(fanIn as number);
  const data = Float32Array.from(
    { length: shape.reduce((n, d) => n * d, 1) },
    () => (norm ? 1 : 0) + spread * normal(),
  );
  return { shape, data };
}

/** A model of random weights, for the oracle. */
export function randomModel(config: Json, seed = 1): OracleModel {
  const random = randomNumbers(seed);
  const shapes = (shapesOf[config.model_type as string] ?? llamaShapes)(config);
  const weights = new Map(Object.entries(shapes).map(([name, shape]) => [name, fill(name, shape, random)]));
  return { config, weights };
}

export interface CheckpointOptions {
  /** What the file calls a tensor; default: its name. */
  readonly rename?: (name: string) => string;
  readonly generationConfig?: Json;
}

/** Writes a model as a Hugging Face directory, below the system's folder for temporary files. */
export async function writeCheckpoint(model: OracleModel, options: CheckpointOptions = {}): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'triga-tiny-'));
  const rename = options.rename ?? ((name: string) => name);
  await writeFile(join(directory, 'config.json'), JSON.stringify(model.config));
  if (options.generationConfig)
    await writeFile(join(directory, 'generation_config.json'), JSON.stringify(options.generationConfig));
  await writeSafetensors(
    join(directory, 'model.safetensors'),
    [...model.weights].map(([name, { shape, data }]) => ({
      name: rename(name),
      dtype: 'f32' as const,
      shape,
      data,
    })),
  );
  return directory;
}
