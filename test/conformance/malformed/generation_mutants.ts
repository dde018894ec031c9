import { checkpointOf, generationConfig, indexName, indexOf, shardNames } from './bases.js';
import { jsonText, put, Raw } from './json_text.js';
import type { Mutant } from './mutant.js';

const file = 'generation_config.json';

function mutant(harm: string, what: string, content: unknown, says?: readonly (string | RegExp)[]): Mutant {
  const text = typeof content === 'string' ? content : jsonText(content);
  return {
    group: `generation_config.json: ${harm}`,
    what,
    files: () => ({ ...checkpointOf('llama'), [file]: text }),
    outcome: says ? 'error' : 'either',
    file,
    says: says && [file, ...says],
  };
}

const change = (harm: string, key: string, value: unknown, says?: readonly (string | RegExp)[]): Mutant =>
  mutant(
    harm,
    `${key} = ${jsonText(value)?.slice(0, 40) ?? 'absent'}`,
    put(generationConfig, key, value),
    says,
  );

const integers =
  'max_length max_new_tokens min_new_tokens top_k no_repeat_ngram_size encoder_no_repeat_ngram_size num_beams num_return_sequences'.split(
    ' ',
  );
const floats = 'temperature top_p min_p typical_p repetition_penalty length_penalty'.split(' ');
const idLists = 'eos_token_id suppress_tokens begin_suppress_tokens forced_eos_token_id'.split(' ');
const single = 'bos_token_id pad_token_id'.split(' ');
const nothings: readonly unknown[] = [new Raw('1e999'), new Raw('-1e999'), '1', true, {}, [[]]];

/** The classes of harm that a generation_config.json can come to. */
export function generationMutants(): Mutant[] {
  const text = jsonText(generationConfig);
  const texts: [string, string][] = [
    ['empty', ''],
    ['cut short', text.slice(0, -1)],
    ['a list', '[]'],
    ['null', 'null'],
    ['NaN', text.replace('0.8', 'NaN')],
    ['10,000 levels', `{"a":${'['.repeat(10_000)}`],
  ];
  return [
    ...integers.flatMap((key) => [
      ...[...nothings, -1, 1.5, 2 ** 53, 1e308].map((value) => change('integers', key, value, [key])),
      ...[0, 1, 2 ** 16, 2 ** 31 - 1].map((value) => change('integers', key, value)),
    ]),
    ...floats.flatMap((key) => [
      ...nothings.map((value) => change('numbers', key, value, [key])),
      ...[0, -1, 1e-320, 1e-45, 1e30, 1e300, -1e300].map((value) => change('numbers', key, value)),
    ]),
    ...[...idLists, ...single].flatMap((key) => [
      ...['2', true, {}, 1.5, [[1]], ['2'], [1.5], new Raw('1e999'), 2 ** 53].map((value) =>
        change('token ids', key, value, [key]),
      ),
      ...[-1, [], [-5], 330, 2 ** 31 - 1, [330, 2 ** 31 - 1], new Array(5000).fill(5)].map((value) =>
        change('token ids', key, value),
      ),
    ]),
    ...[7, [7], [[]], [['a']], [[-1]], [[1.5]], {}, 'x'].map((value) =>
      change('bad words', 'bad_words_ids', value, ['bad_words_ids']),
    ),
    ...[
      [[2]],
      [[329]],
      [[330]],
      [[2 ** 31 - 1, 1]],
      [new Array(3000).fill(1)],
      new Array(3000).fill([1, 2]),
    ].map((value) => change('bad words', 'bad_words_ids', value)),
    ...[330, 2 ** 31 - 1].map((value) => change('token ids', 'forced_bos_token_id', value)),
    ...[-1, 1.5, [1], '1'].map((value) =>
      change('token ids', 'forced_bos_token_id', value, ['forced_bos_token_id']),
    ),
    ...[0, 1, 'maybe', null, []].map((value) =>
      change('flags', 'do_sample', value, value === null ? undefined : ['do_sample']),
    ),
    ...[0, 'always', {}].map((value) => change('flags', 'early_stopping', value, ['early_stopping'])),
    ...[1.5, 'x', { a: 1 }].map((value) => change('flags', 'guidance_scale', value, ['guidance_scale'])),
    change('flags', 'stop_strings', ['x']),
    change('flags', 'stop_strings', [''], ['stop_strings']),
    mutant('beams', '2,000 beams', { ...generationConfig, do_sample: false, num_beams: 2000 }),
    mutant('beams', '2^31 − 1 beams', { ...generationConfig, do_sample: false, num_beams: 2 ** 31 - 1 }),
    mutant('beams', 'as many sequences', {
      ...generationConfig,
      do_sample: false,
      num_beams: 2 ** 31 - 1,
      num_return_sequences: 2 ** 31 - 1,
    }),
    mutant('duplicate key', 'max_length', `{"max_length":5,${text.slice(1)}`, ['max_length', 'twice']),
    ...texts.map(([what, content]) => mutant('text', what, content, [])),
  ];
}

function indexMutant(what: string, index: unknown, says?: readonly (string | RegExp)[]): Mutant {
  const content = typeof index === 'string' ? index : jsonText(index);
  return {
    group: 'index of shards',
    what,
    files: () => ({ ...checkpointOf('qwen2', { shards: true, bf16: true }), [indexName]: content }),
    outcome: says ? 'error' : 'either',
    file: indexName,
    says,
  };
}

/** The classes of harm that the index of a model in shards can come to. */
export function indexMutants(): Mutant[] {
  const index = indexOf('qwen2');
  const text = jsonText(index);
  const [first] = Object.keys(index.weight_map) as [string];
  const [shard, other] = shardNames;
  const files: unknown[] = [
    7,
    null,
    {},
    [],
    '',
    'x',
    `../${shard}`,
    `/etc/${shard}`,
    `a/${shard}`,
    `a\\${shard}`,
    '.safetensors',
    'C:x.safetensors',
    `${shard}\0`,
    `file://${shard}`,
  ];
  return [
    indexMutant('as it is', index),
    ...files.map((value) =>
      indexMutant(`a file ${jsonText(value)}`, put(index, ['weight_map', first], value), [indexName, first]),
    ),
    indexMutant('a shard that is not there', put(index, ['weight_map', first], 'x.safetensors'), [
      indexName,
      'x.safetensors',
    ]),
    indexMutant(
      'a tensor of the other shard',
      put(index, ['weight_map', first], index.weight_map[first] === shard ? other : shard),
      [first, indexName],
    ),
    indexMutant('a tensor of no shard', put(index, ['weight_map', 'no.such'], shard), ['no.such', indexName]),
    indexMutant('a tensor left out', put(index, ['weight_map', first], undefined), [first]),
    indexMutant('no tensors', { ...index, weight_map: {} }, [indexName, 'weight_map']),
    ...[null, [], 'x', 7].map((value) =>
      indexMutant(`weight_map ${jsonText(value)}`, { ...index, weight_map: value }, [
        indexName,
        'weight_map',
      ]),
    ),
    indexMutant('no weight_map', { metadata: {} }, [indexName, 'weight_map']),
    indexMutant('metadata of another kind', { ...index, metadata: [1] }),
    indexMutant('a total_size of 2^63', text.replace('"total_size":0', '"total_size":9223372036854775808')),
    indexMutant('a tensor twice', text.replace('"weight_map":{', `"weight_map":{"${first}":"${shard}",`), [
      indexName,
      first,
      'twice',
    ]),
    indexMutant('empty', '', [indexName]),
    indexMutant('a list', '[]', [indexName]),
    indexMutant('cut short', text.slice(0, -5), [indexName]),
    indexMutant('10,000 levels', `{"weight_map":${'{"a":'.repeat(10_000)}`, [indexName]),
    indexMutant(
      '10,000 shards',
      {
        weight_map: Object.fromEntries(
          Array.from({ length: 10_000 }, (_, i) => [`t${i}`, `s${i}.safetensors`]),
        ),
      },
      [indexName],
    ),
    indexMutant(
      'a key that objects have',
      put(index, ['weight_map'], new Raw(`{"__proto__":"${shard}","toString":"${shard}"}`)),
      ['__proto__'],
    ),
  ];
}
