import { rm } from 'node:fs/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { loadTextModel, ModelFormatError, UnsupportedError } from '../../lib/index.js';
import type { Json } from './oracle_rope.js';
import { type CheckpointOptions, randomModel, writeCheckpoint } from './tiny_checkpoint.js';

const gpt2: Json = { model_type: 'gpt2', vocab_size: 20, n_embd: 12, n_head: 3, n_layer: 1, n_positions: 16 };
const llama: Json = {
  model_type: 'llama',
  vocab_size: 20,
  hidden_size: 16,
  intermediate_size: 12,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 16,
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
};
const mistral: Json = { ...llama, model_type: 'mistral', sliding_window: null };
const qwen2: Json = { ...llama, model_type: 'qwen2' };

const written: string[] = [];
afterAll(async () => {
  for (const directory of written) await rm(directory, { recursive: true });
});

/** A directory whose weights fit `good` and whose config.json says `config`. */
async function write(good: Json, config: Json, options: CheckpointOptions = {}): Promise<string> {
  const directory = await writeCheckpoint({ ...randomModel(good), config }, options);
  written.push(directory);
  return directory;
}

const without = (config: Json, key: string): Json =>
  Object.fromEntries(Object.entries(config).filter(([name]) => name !== key));

type Failure = new (message: string) => Error;

describe('a configuration that is unfit', () => {
  test.each<[string, Json, Json, Failure, RegExp]>([
    [
      'rope type',
      llama,
      { rope_scaling: { rope_type: 'longrope', factor: 2 } },
      UnsupportedError,
      /rope_scaling.*"longrope"/,
    ],
    [
      'rope factor',
      llama,
      { rope_scaling: { rope_type: 'linear' } },
      ModelFormatError,
      /rope_scaling: expected factor/,
    ],
    [
      'rope factor below 1',
      llama,
      { rope_scaling: { type: 'yarn', factor: 0.5 } },
      ModelFormatError,
      /expected factor.*0\.5/,
    ],
    [
      'rope_scaling of a wrong kind',
      llama,
      { rope_scaling: 'linear' },
      ModelFormatError,
      /expected rope_scaling to be an object/,
    ],
    [
      'llama3 without its fields',
      llama,
      { rope_scaling: { rope_type: 'llama3', factor: 8 } },
      ModelFormatError,
      /low_freq_factor/,
    ],
    ['hidden_act', llama, { hidden_act: 'softplus' }, UnsupportedError, /hidden_act "softplus"/],
    [
      'activation_function',
      gpt2,
      { activation_function: 'swiglu' },
      UnsupportedError,
      /activation_function "swiglu"/,
    ],
    [
      'an inherited name',
      gpt2,
      { activation_function: 'constructor' },
      UnsupportedError,
      /activation_function "constructor"/,
    ],
    [
      'heads not a multiple of kv heads',
      llama,
      { num_key_value_heads: 3 },
      ModelFormatError,
      /num_key_value_heads.*3/,
    ],
    [
      'more kv heads than heads',
      llama,
      { num_key_value_heads: 8 },
      ModelFormatError,
      /num_key_value_heads.*8/,
    ],
    [
      'heads that do not divide the width',
      llama,
      { num_attention_heads: 6, num_key_value_heads: 2 },
      ModelFormatError,
      /hidden_size.*num_attention_heads|num_attention_heads.*hidden_size/,
    ],
    ['heads that do not divide the width', gpt2, { n_head: 5 }, ModelFormatError, /n_head.*5/],
    ['an odd head_dim', llama, { head_dim: 5 }, ModelFormatError, /head_dim.*5/],
    ['a negative size', llama, { hidden_size: -16 }, ModelFormatError, /hidden_size.*-16/],
    ['a fraction', gpt2, { n_layer: 1.5 }, ModelFormatError, /n_layer.*1\.5/],
    ['a string', gpt2, { n_layer: '1' }, ModelFormatError, /n_layer/],
    ['sliding_window 0', mistral, { sliding_window: 0 }, ModelFormatError, /sliding_window.*0/],
    [
      'layer_types of another length',
      qwen2,
      { use_sliding_window: true, sliding_window: 4, layer_types: ['full_attention', 'full_attention'] },
      ModelFormatError,
      /layer_types.*1.*2/,
    ],
    [
      'a kind of layer',
      qwen2,
      { layer_types: ['chunked_attention'] },
      UnsupportedError,
      /layer_types.*chunked_attention/,
    ],
    ['an encoder', llama, { is_encoder_decoder: true }, UnsupportedError, /is_encoder_decoder/],
    [
      'quantized weights',
      llama,
      { quantization_config: { bits: 4 } },
      UnsupportedError,
      /quantization_config/,
    ],
    [
      'a part of the head rotated',
      llama,
      { partial_rotary_factor: 0.5 },
      UnsupportedError,
      /partial_rotary_factor/,
    ],
    ['a family', llama, { model_type: 'llama9' }, UnsupportedError, /model_type "llama9".*gpt2/],
  ])('%s', async (_name, good, change, failure, message) => {
    const directory = await write(good, { ...good, ...change });
    const loading = loadTextModel(directory, { device: 'cpu' });
    await expect(loading).rejects.toThrow(message);
    await expect(loading).rejects.toBeInstanceOf(failure);
  });

  test.each<[string, Json]>([
    ...['vocab_size', 'n_embd', 'n_head', 'n_layer', 'n_positions'].map((key): [string, Json] => [key, gpt2]),
    ...['vocab_size', 'hidden_size', 'num_attention_heads', 'num_hidden_layers', 'intermediate_size'].map(
      (key): [string, Json] => [key, llama],
    ),
    ['model_type', llama],
  ])('without %s', async (key, good) => {
    const directory = await write(good, without(good, key));
    const loading = loadTextModel(directory);
    await expect(loading).rejects.toThrow(new RegExp(`config.json: expected ${key} to be .*no such field`));
    await expect(loading).rejects.toBeInstanceOf(ModelFormatError);
  });

  test('weights of other shapes than it says', async () => {
    const loading = loadTextModel(await write(llama, { ...llama, intermediate_size: 14 }));
    await expect(loading).rejects.toThrow(/gate_proj\.weight: expected shape \[14, 16\], got \[12, 16\]/);
    await expect(loading).rejects.toBeInstanceOf(ModelFormatError);
  });

  test('weights that are not there', async () => {
    const loading = loadTextModel(await write(llama, { ...llama, num_hidden_layers: 2 }));
    await expect(loading).rejects.toThrow(/got none for 9: model\.layers\.1\./);
  });
});

describe('what is ignored', () => {
  const warnings: string[] = [];
  const listen = (warning: Error): void => {
    if (warning.message.startsWith('triga ')) warnings.push(warning.message);
  };

  test('unknown fields are listed, and warned of once a directory', async () => {
    process.on('warning', listen);
    const config = {
      ...llama,
      moon_phase: 3,
      rope_scaling: { type: 'linear', factor: 2, tide: 1 },
      attention_dropout: 0.1,
      _name_or_path: 'x',
    };
    const directory = await write(config, config, {
      generationConfig: { wavelength: 1, transformers_version: '4.44.0' },
    });
    for (let again = 0; again < 2; again++) {
      await using model = await loadTextModel(directory);
      expect([...model.info.ignoredFields].sort()).toEqual([
        'generation_config.wavelength',
        'moon_phase',
        'rope_scaling.tide',
      ]);
    }
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', listen);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/moon_phase.*rope_scaling\.tide.*generation_config\.wavelength/);
  });

  test('nothing of the original files of GPT-2', async () => {
    const config = {
      ...gpt2,
      n_ctx: 16,
      activation_function: 'gelu_new',
      architectures: ['GPT2LMHeadModel'],
      attn_pdrop: 0.1,
      bos_token_id: 2,
      embd_pdrop: 0.1,
      eos_token_id: 2,
      initializer_range: 0.02,
      layer_norm_epsilon: 1e-5,
      resid_pdrop: 0.1,
      summary_activation: null,
      summary_type: 'cls_index',
      task_specific_params: { 'text-generation': { do_sample: true, max_length: 50 } },
    };
    await using model = await loadTextModel(await write(gpt2, config));
    expect(model.info.ignoredFields).toEqual([]);
    expect(model.info).toMatchObject({
      family: 'gpt2',
      contextLength: 16,
      vocabSize: 20,
      weights: 'f32',
      device: 'cpu',
    });
    expect(model.info.bytes).toBeGreaterThan(model.info.parameters * 4);
  });
});

describe('generation parameters of the files', () => {
  test('config.json has them where there is no generation_config.json', async () => {
    const config = { ...llama, max_length: 9, eos_token_id: 3, bos_token_id: 1, temperature: 0.5, top_k: 50 };
    await using old = await loadTextModel(await write(llama, config));
    expect((await old.generate([5, 6, 7], { eosTokenId: [] })).tokens).toHaveLength(6);
    await using newer = await loadTextModel(
      await write(llama, config, { generationConfig: { max_new_tokens: 4 } }),
    );
    expect((await newer.generate([5, 6, 7])).tokens).toHaveLength(4);
  });

  test('what is not supported throws, unless it is at its default', async () => {
    const loading = loadTextModel(await write(llama, llama, { generationConfig: { guidance_scale: 1.5 } }));
    await expect(loading).rejects.toThrow(/generation_config\.json: guidance_scale = 1\.5/);
    await expect(loading).rejects.toBeInstanceOf(UnsupportedError);
    await using model = await loadTextModel(
      await write(llama, llama, { generationConfig: { guidance_scale: 1, num_beam_groups: 1 } }),
    );
    expect(model.info.ignoredFields).toEqual([]);
  });
});
