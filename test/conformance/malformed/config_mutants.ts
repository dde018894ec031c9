import { checkpointOf, configs, type FamilyName, familyNames } from './bases.js';
import { type Json, jsonText, put, Raw } from './json_text.js';
import type { Mutant } from './mutant.js';

const file = 'config.json';

type Says = readonly (string | RegExp)[];

/** `outcome` `error` unless `says` is left out: then one or the other. */
function mutant(harm: string, family: FamilyName, what: string, config: unknown, says?: Says): Mutant {
  const text = typeof config === 'string' ? config : jsonText(config);
  return {
    group: `config.json: ${harm}`,
    what: `${family}: ${what}`,
    files: () => ({ ...checkpointOf(family), [file]: text }),
    outcome: says ? 'error' : 'either',
    file,
    says: says && [file, ...says],
  };
}

const change = (harm: string, family: FamilyName, path: string, value: unknown, says?: Says): Mutant =>
  mutant(
    harm,
    family,
    `${path} = ${jsonText(value)?.slice(0, 40) ?? 'absent'}`,
    put(configs[family], path, value),
    says,
  );

/** The fields whose values are sizes. */
const sizes: Record<FamilyName, readonly string[]> = {
  gpt2: ['vocab_size', 'n_embd', 'n_head', 'n_layer', 'n_positions', 'n_inner'],
  llama: [
    'vocab_size',
    'hidden_size',
    'intermediate_size',
    'num_hidden_layers',
    'num_attention_heads',
    'num_key_value_heads',
    'head_dim',
    'max_position_embeddings',
  ],
  mistral: ['hidden_size', 'num_attention_heads', 'sliding_window'],
  qwen2: ['num_hidden_layers', 'sliding_window', 'max_window_layers'],
  qwen3: ['head_dim', 'num_key_value_heads', 'num_hidden_layers'],
  blenderbot: [
    'd_model',
    'encoder_layers',
    'encoder_attention_heads',
    'encoder_ffn_dim',
    'decoder_layers',
    'decoder_attention_heads',
    'decoder_ffn_dim',
    'max_position_embeddings',
  ],
};

const noSizes: readonly unknown[] = [
  -1,
  0.5,
  1.5,
  2 ** 53,
  1e308,
  new Raw('1e999'),
  new Raw('-1e999'),
  new Raw('NaN'),
  new Raw('Infinity'),
  new Raw('-9223372036854775808'),
  new Raw('18446744073709551615'),
  '4',
  true,
  [],
  [4],
  {},
];

function dimensions(): Mutant[] {
  return familyNames.flatMap((family) =>
    sizes[family].flatMap((field) => [
      ...noSizes.map((value) => {
        const says = value instanceof Raw && /NaN|Infinity/.test(value.text) ? [] : [field];
        return change('dimensions', family, field, value, says);
      }),
      // What fits the rule of the field and nothing else: the weights contradict it, or it works.
      ...[2 ** 26, 2 ** 26 - 1, 2 ** 20, 3].map((value) => change('dimensions', family, field, value)),
      change('dimensions', family, field, undefined),
      change('dimensions', family, field, null),
    ]),
  );
}

function heads(): Mutant[] {
  const zero: [FamilyName, string][] = [
    ['gpt2', 'n_head'],
    ['gpt2', 'n_embd'],
    ['gpt2', 'n_positions'],
    ['gpt2', 'vocab_size'],
    ['llama', 'num_attention_heads'],
    ['llama', 'num_key_value_heads'],
    ['llama', 'head_dim'],
    ['llama', 'hidden_size'],
    ['llama', 'max_position_embeddings'],
    ['mistral', 'num_attention_heads'],
    ['mistral', 'sliding_window'],
    ['qwen2', 'num_key_value_heads'],
    ['qwen2', 'sliding_window'],
    ['qwen3', 'num_attention_heads'],
  ];
  const undivided: [FamilyName, Json, Says][] = [
    ['gpt2', { n_head: 5 }, ['n_head', 'n_embd']],
    ['gpt2', { n_embd: 13 }, ['n_head', 'n_embd']],
    ['llama', { num_key_value_heads: 3 }, ['num_key_value_heads', 'num_attention_heads']],
    ['llama', { num_key_value_heads: 8 }, ['num_key_value_heads', 'num_attention_heads']],
    ['llama', { num_attention_heads: 3 }, ['num_key_value_heads', 'num_attention_heads']],
    ['llama', { head_dim: 5 }, ['head_dim']],
    ['mistral', { num_attention_heads: 5, num_key_value_heads: 5 }, ['hidden_size', 'num_attention_heads']],
    ['qwen2', { num_attention_heads: 16, num_key_value_heads: 16 }, ['head_dim', '1']],
    ['qwen2', { hidden_size: 18 }, ['hidden_size', 'num_attention_heads']],
  ];
  const products: [FamilyName, Json][] = [
    ['llama', { num_attention_heads: 2 ** 26, num_key_value_heads: 2 ** 26, head_dim: 2 ** 16 }],
    ['llama', { num_attention_heads: 2 ** 26, num_key_value_heads: 1, head_dim: 2 }],
    ['llama', { hidden_size: 2 ** 26, intermediate_size: 2 ** 26, vocab_size: 2 ** 26 }],
    ['llama', { hidden_size: 2 ** 26, head_dim: 2 ** 26 }],
    ['mistral', { hidden_size: 2 ** 26, num_attention_heads: 1, num_key_value_heads: 1 }],
    ['gpt2', { n_embd: 2 ** 26, n_head: 2 ** 26 }],
    ['gpt2', { n_embd: 2 ** 26, n_head: 1, n_positions: 2 ** 26, vocab_size: 2 ** 26, n_inner: 2 ** 26 }],
    ['gpt2', { n_layer: 2 ** 26, n_embd: 2 ** 20, n_head: 2 }],
    ['qwen3', { num_hidden_layers: 2 ** 26, layer_types: null }],
  ];
  return [
    ...zero.map(([family, field]) => change('zero heads and sizes', family, field, 0, [field])),
    ...undivided.map(([family, fields, says]) =>
      mutant('heads that do not divide', family, jsonText(fields), { ...configs[family], ...fields }, says),
    ),
    ...products.map(([family, fields]) => ({
      ...mutant('products of sizes', family, jsonText(fields), { ...configs[family], ...fields }, []),
    })),
  ];
}

function epsilons(): Mutant[] {
  const bad = [
    -1,
    -1e-300,
    new Raw('1e999'),
    new Raw('-1e999'),
    new Raw('NaN'),
    '1e-5',
    true,
    [],
    {},
    1e39,
    1e308,
  ];
  const fine = [0, new Raw('-0'), 1e-320, 1, 1e-45, 1e30, null, undefined];
  return (['gpt2', 'llama'] as const).flatMap((family) => {
    const field = family === 'gpt2' ? 'layer_norm_epsilon' : 'rms_norm_eps';
    return [
      ...bad.map((value) =>
        change('epsilon', family, field, value, value instanceof Raw && value.text === 'NaN' ? [] : [field]),
      ),
      ...fine.map((value) => change('epsilon', family, field, value)),
    ];
  });
}

function ropes(): Mutant[] {
  const noFactors = [0, -1, 0.5, new Raw('1e999'), new Raw('-1e999'), '8', true, null, undefined, [], {}];
  const fields: [FamilyName, string][] = [
    ['llama', 'rope_scaling.factor'],
    ['mistral', 'rope_scaling.factor'],
    ['qwen2', 'rope_scaling.factor'],
    ['qwen3', 'rope_scaling.factor'],
    ['llama', 'rope_scaling.original_max_position_embeddings'],
    ['mistral', 'rope_scaling.original_max_position_embeddings'],
  ];
  const numbers: [FamilyName, string][] = [
    ['llama', 'rope_scaling.low_freq_factor'],
    ['llama', 'rope_scaling.high_freq_factor'],
    ['mistral', 'rope_scaling.beta_fast'],
    ['mistral', 'rope_scaling.beta_slow'],
    ['mistral', 'rope_scaling.mscale'],
    ['mistral', 'rope_scaling.mscale_all_dim'],
    ['mistral', 'rope_scaling.attention_factor'],
    ['llama', 'rope_theta'],
    ['mistral', 'rope_theta'],
    ['qwen2', 'rope_theta'],
  ];
  const last = (path: string): string => path.split('.').at(-1) as string;
  const types: unknown[] = [
    '',
    'su',
    'longrope',
    'LINEAR',
    'default ',
    '__proto__',
    'constructor',
    5,
    [],
    {},
    true,
  ];
  const kinds: unknown[] = ['linear', 8, true, [], [{ type: 'linear', factor: 2 }], {}, { factor: 2 }];
  return [
    ...fields.flatMap(([family, path]) =>
      noFactors
        .filter((value) => (value !== null && value !== undefined) || path.endsWith('.factor'))
        .map((value) => change('rope_scaling', family, path, value, [last(path)])),
    ),
    ...numbers.flatMap(([family, path]) => [
      ...['1', true, [], {}, new Raw('1e999'), new Raw('-1e999')].map((value) =>
        change('rope_scaling', family, path, value, [last(path)]),
      ),
      ...[0, -1, 1, 1e-320, 1e300, -1e300, 1e30].map((value) => change('rope_scaling', family, path, value)),
    ]),
    ...fields.flatMap(([family, path]) =>
      [1, 1e18, 1e300].map((value) => change('rope_scaling', family, path, value)),
    ),
    ...types.map((type) => change('rope_scaling', 'llama', 'rope_scaling.rope_type', type, ['rope'])),
    ...kinds.map((value) => change('rope_scaling', 'llama', 'rope_scaling', value)),
    change('rope_scaling', 'llama', 'rope_scaling', {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 4,
      high_freq_factor: 4,
    }),
    change('rope_scaling', 'llama', 'rope_scaling', {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 4,
      high_freq_factor: 1,
    }),
    mutant('rope_scaling', 'qwen2', 'dynamic with a width of 2', {
      ...configs.qwen2,
      num_attention_heads: 8,
      num_key_value_heads: 4,
      head_dim: 2,
    }),
    mutant('rope_scaling', 'llama', 'yarn with a theta of 1', {
      ...configs.llama,
      rope_theta: 1,
      rope_scaling: { rope_type: 'yarn', factor: 8 },
    }),
    mutant('rope_scaling', 'llama', 'rope_parameters no object', { ...configs.llama, rope_parameters: 7 }, [
      'rope_parameters',
    ]),
  ];
}

function others(): Mutant[] {
  const text = jsonText(configs.llama);
  const words: [FamilyName, string, unknown, Says | undefined][] = [
    ['llama', 'model_type', 'llama9', ['model_type']],
    ['llama', 'model_type', '__proto__', ['model_type']],
    ['llama', 'model_type', 'constructor', ['model_type']],
    ['llama', 'model_type', 7, ['model_type']],
    ['llama', 'model_type', null, ['model_type']],
    ['llama', 'model_type', 'gpt2', []],
    ['gpt2', 'model_type', 'llama', []],
    ['llama', 'model_type', 'qwen3', undefined],
    ['llama', 'hidden_act', 'swish9', ['hidden_act']],
    ['llama', 'hidden_act', '__proto__', ['hidden_act']],
    ['llama', 'hidden_act', 7, ['hidden_act']],
    ['gpt2', 'activation_function', 'toString', ['activation_function']],
    ['gpt2', 'activation_function', [], ['activation_function']],
    ['llama', 'tie_word_embeddings', 'yes', ['tie_word_embeddings']],
    ['llama', 'tie_word_embeddings', false, undefined],
    ['llama', 'tie_word_embeddings', null, undefined],
    ['llama', 'attention_bias', 1, ['attention_bias']],
    ['llama', 'attention_bias', false, undefined],
    ['llama', 'partial_rotary_factor', 0.5, ['partial_rotary_factor']],
    ['llama', 'quantization_config', { bits: 4 }, ['quantization_config']],
    ['llama', 'is_encoder_decoder', true, ['is_encoder_decoder']],
    ['qwen3', 'layer_types', 'full_attention', ['layer_types']],
    ['qwen3', 'layer_types', ['full_attention'], ['layer_types']],
    ['qwen3', 'layer_types', ['full_attention', 7], ['layer_types']],
    ['qwen3', 'layer_types', ['full_attention', 'none'], ['layer_types']],
    ['qwen2', 'use_sliding_window', 'no', ['use_sliding_window']],
    ['gpt2', 'scale_attn_weights', 0, ['scale_attn_weights']],
    ['gpt2', 'n_ctx', 'many', undefined],
    ['llama', 'eos_token_id', -1, undefined],
    ['llama', 'eos_token_id', 2 ** 40, ['eos_token_id']],
    ['llama', 'eos_token_id', '2', ['eos_token_id']],
    ['llama', 'eos_token_id', vocabularyEnd, undefined],
  ];
  const texts: [string, string][] = [
    ['empty', ''],
    ['a brace', '{'],
    ['cut short', text.slice(0, -1)],
    ['null', 'null'],
    ['a list', `[${text}]`],
    ['a text', '"llama"'],
    ['two objects', text + text],
    ['1,000 levels', text.replace('{', `{"a":${'['.repeat(1000)}${']'.repeat(1000)},`)],
    ['100,000 levels', `{"a":${'{"b":'.repeat(100_000)}`],
    ['17 MB', `{"a":"${'x'.repeat(17 * 2 ** 20)}"}`],
    ['ten million values', `{"a":[${'0,'.repeat(7_000_000)}0]}`],
    ['a byte order mark', `\ufeff${text}`],
    ['NUL', `${text}\0`],
    ['a trailing comma', `${text.slice(0, -1)},}`],
  ];
  const twice = ['hidden_size', 'num_attention_heads', 'model_type'].map((field) =>
    mutant(
      'duplicate key',
      'llama',
      field,
      `${text.slice(0, -1)},"${field}":${jsonText(configs.llama[field as 'model_type'])}}`,
      [field, 'twice'],
    ),
  );
  return [
    ...words.map(([family, field, value, says]) => change('words and flags', family, field, value, says)),
    ...texts.map(([what, content]) => mutant('text', 'llama', what, content, [])),
    ...twice,
    mutant('duplicate key', 'llama', 'in rope_scaling', text.replace('"factor":8', '"factor":8,"factor":1'), [
      'factor',
      'twice',
    ]),
  ];
}

const vocabularyEnd = configs.llama.vocab_size;

/** The classes of harm that a config.json can come to. */
export const configMutants = (): Mutant[] => [
  ...dimensions(),
  ...heads(),
  ...epsilons(),
  ...ropes(),
  ...others(),
];
