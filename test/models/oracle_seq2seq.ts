import { attend, type Cache, dense, layerNorm, type OracleModel, plus, row } from './oracle.js';
import { activate } from './oracle_activation.js';

type Rows = readonly number[][];

/** The layers of one side, a row at a time where rows see what came before only. */
class Side {
  readonly #model: OracleModel;
  readonly #side: string;
  readonly #act: (x: number) => number;

  constructor(model: OracleModel, side: 'encoder' | 'decoder') {
    this.#model = model;
    this.#side = side;
    this.#act = activate((model.config.activation_function as string | undefined) ?? 'gelu');
  }

  get layers(): number {
    return this.#model.config[`${this.#side}_layers`] as number;
  }

  embed(ids: readonly number[]): Rows {
    const { config } = this.#model;
    const scale = config.scale_embedding ? Math.sqrt(config.d_model as number) : 1;
    return ids.map((id, position) =>
      plus(
        row(this.#model, 'model.shared.weight', id).map((x) => x * scale),
        row(this.#model, `model.${this.#side}.embed_positions.weight`, position),
      ),
    );
  }

  /** x + attention of its rows to `from`, or to the rows of x up to their own. */
  attention(x: Rows, layer: number, name: string, from: Rows | 'itself' | 'what came before'): Rows {
    const at = `model.${this.#side}.layers.${layer}.${name}`;
    const heads = this.#model.config[`${this.#side}_attention_heads`] as number;
    const scale = ((this.#model.config.d_model as number) / heads) ** -0.5;
    const normed = this.normed(x, `layers.${layer}.${name}_layer_norm`);
    const read = typeof from === 'string' ? normed : from;
    const cache: Cache = {
      keys: read.map((r) => dense(this.#model, `${at}.k_proj`, r)),
      values: read.map((r) => dense(this.#model, `${at}.v_proj`, r)),
    };
    return x.map((r, t) => {
      const end = from === 'what came before' ? t + 1 : read.length;
      const seen = { keys: cache.keys.slice(0, end), values: cache.values.slice(0, end) };
      const q = dense(this.#model, `${at}.q_proj`, normed[t] as number[]);
      const mixed = attend(q, seen, { heads, kvHeads: heads, scale, window: 0 });
      return plus(r, dense(this.#model, `${at}.out_proj`, mixed));
    });
  }

  mlp(x: Rows, layer: number): Rows {
    const at = `model.${this.#side}.layers.${layer}`;
    return this.normed(x, `layers.${layer}.final_layer_norm`).map((y, t) => {
      const inner = dense(this.#model, `${at}.fc1`, y).map(this.#act);
      return plus(x[t] as number[], dense(this.#model, `${at}.fc2`, inner));
    });
  }

  normed(x: Rows, name: string): Rows {
    return x.map((r) => layerNorm(this.#model, `model.${this.#side}.${name}`, 1e-5, r));
  }
}

/**
 * Logits after each of the decoder's ids, in float64, with the definitions of Hugging Face transformers v4.44: Blenderbot, all rows of
 * a layer at once and nothing cached.
 */
export function seq2seqLogits(
  model: OracleModel,
  source: readonly number[],
  target: readonly number[],
): number[][] {
  const encoder = new Side(model, 'encoder');
  let read = encoder.embed(source);
  for (let i = 0; i < encoder.layers; i++)
    read = encoder.mlp(encoder.attention(read, i, 'self_attn', 'itself'), i);
  read = encoder.normed(read, 'layer_norm');
  const decoder = new Side(model, 'decoder');
  let x = decoder.embed(target);
  for (let i = 0; i < decoder.layers; i++) {
    x = decoder.attention(x, i, 'self_attn', 'what came before');
    x = decoder.mlp(decoder.attention(x, i, 'encoder_attn', read), i);
  }
  const head = model.config.tie_word_embeddings === false ? 'lm_head' : 'model.shared';
  const bias = row(model, 'final_logits_bias', 0);
  return decoder.normed(x, 'layer_norm').map((r) => plus(dense(model, head, r), bias));
}
