import { generator } from '../../random.js';
import {
  checkpointOf,
  configs,
  type Files,
  familyNames,
  fileOf,
  generationConfig,
  indexName,
  indexOf,
  shardNames,
  weightsName,
  weightsOf,
} from './bases.js';
import { jsonText } from './json_text.js';
import type { Mutant } from './mutant.js';
import { mutateBytes, mutateJson } from './mutate.js';
import { tokenizerNames, tokenizers } from './tokenizers.js';

type Random = () => number;
type Change = (random: Random) => { readonly files: Files; readonly file: string };

const pick = <T>(random: Random, items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;

/** Half of the texts are changed by what knows JSON, half byte by byte. */
const changed = (random: Random, value: unknown): string | Uint8Array =>
  random() < 0.7 ? mutateJson(random, value) : mutateBytes(random, Buffer.from(jsonText(value)));

const changes: Readonly<Record<string, Change>> = {
  'safetensors: random': (random) => {
    const family = pick(random, familyNames);
    const { header, data } = weightsOf(family);
    if (random() < 0.5)
      return {
        files: { ...checkpointOf(family), [weightsName]: fileOf(mutateJson(random, header), data) },
        file: weightsName,
      };
    const text = jsonText(header);
    const bytes = mutateBytes(random, fileOf(text, data), 8 + text.length);
    return { files: { ...checkpointOf(family), [weightsName]: bytes }, file: weightsName };
  },
  'config.json: random': (random) => {
    const family = pick(random, familyNames);
    return {
      files: { ...checkpointOf(family), 'config.json': changed(random, configs[family]) },
      file: 'config.json',
    };
  },
  'generation_config.json: random': (random) => {
    const files = { ...checkpointOf('llama'), 'generation_config.json': changed(random, generationConfig) };
    return { files, file: 'generation_config.json' };
  },
  'index of shards: random': (random) => {
    const files = checkpointOf('qwen3', { shards: true });
    const file = random() < 0.7 ? indexName : pick(random, shardNames);
    const content =
      file === indexName
        ? changed(random, indexOf('qwen3'))
        : mutateBytes(random, Buffer.from(files[file] as Uint8Array), 600);
    return { files: { ...files, [file]: content }, file };
  },
  'tokenizer.json: random': (random) => {
    const file = 'tokenizer.json';
    const content = changed(random, tokenizers[pick(random, tokenizerNames)]);
    return { files: { ...checkpointOf('gpt2'), [file]: content }, file };
  },
};

/** Mutants drawn at random, `count` of each kind of file; the same for the same seed. */
export function randomMutants(seed: number, counts: Readonly<Record<string, number>>): Mutant[] {
  return Object.entries(changes).flatMap(([group, change], k) =>
    Array.from({ length: counts[group] ?? 0 }, (_, i): Mutant => {
      const draw = (): ReturnType<Change> => change(generator(seed * 1_000_003 + k * 100_003 + i));
      return { group, what: `number ${i}`, files: () => draw().files, outcome: 'either', file: draw().file };
    }),
  );
}
