import { existsSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { checkpointOf, familyNames } from './bases.js';
import { configMutants } from './config_mutants.js';
import { generationMutants, indexMutants } from './generation_mutants.js';
import type { Mutant } from './mutant.js';
import { memoryLimit, type Outcome, Prober, tryAll } from './probe.js';
import { randomMutants } from './random_mutants.js';
import { tokenizerMutants } from './tokenizer_mutants.js';
import { weightsMutants } from './weights_mutants.js';

// Malformed files are typed errors, or models that work. Each mutant is tried in a process of its own kind (probe.ts), so that a
// crash, a hang or a lack of memory is a failed mutant with a number. To replay some:
//   TRIGA_MUTANTS=17,1203 TRIGA_MUTANT_SEED=1 npx vitest run --mode conformance test/conformance/malformed
const seed = Number(process.env.TRIGA_MUTANT_SEED ?? 1);
const wanted = process.env.TRIGA_MUTANTS?.split(',').map(Number);

const sound = familyNames.flatMap((family): Mutant[] =>
  [{}, { shards: true }, { bf16: true }].map((how) => ({
    group: 'sound checkpoints',
    what: `${family} ${JSON.stringify(how)}`,
    files: () => checkpointOf(family, how),
    outcome: 'works',
    file: 'config.json',
  })),
);
const counts = {
  'safetensors: random': 300,
  'config.json: random': 300,
  'generation_config.json: random': 200,
  'index of shards: random': 150,
  'tokenizer.json: random': 400,
};
const mutants = [
  ...sound,
  ...weightsMutants(),
  ...configMutants(),
  ...generationMutants(),
  ...indexMutants(),
  ...tokenizerMutants(),
  ...randomMutants(seed, counts),
].map((mutant, number) => ({ ...mutant, number }));

/** What is wrong with an outcome; undefined: nothing. */
function fault(mutant: Mutant, outcome: Outcome): string | undefined {
  const { works, typed, died, stage, code = '', message = '', rss = 0 } = outcome;
  if (died !== undefined) return died;
  if (rss > memoryLimit) return `took ${Math.round(rss)} MiB`;
  if (works) return mutant.outcome === 'error' ? 'expected an error, got a model that works' : undefined;
  if (!typed) return `expected a typed error, got ${outcome.stack ?? message}`;
  const said = `${code} at ${stage}: ${message}`;
  if (mutant.outcome === 'works') return `expected a model that works, got ${said}`;
  if (message.length > 800) return `too long: ${said}`;
  if (stage === 'load') {
    if (code === 'INVALID_ARGUMENT') return `expected no fault of the caller's, got ${said}`;
    const names = Object.keys(mutant.files());
    if (!names.some((name) => message.includes(name))) return `expected the name of a file, got ${said}`;
  }
  const unsaid = (mutant.says ?? []).filter((what) =>
    typeof what === 'string' ? !message.includes(what) : !what.test(message),
  );
  return unsaid.length > 0 ? `expected ${unsaid.join(', ')} in ${said}` : undefined;
}

const groups = [...new Set(mutants.map(({ group }) => group))];
const probers = [new Prober(), new Prober()];
afterAll(() => {
  for (const prober of probers) prober.end();
});

describe.skipIf(!existsSync(new URL('../../../dist/index.js', import.meta.url)))(
  'malformed files (dist/)',
  () => {
    test('there are at least 2,000 of them', () => {
      expect(mutants.length).toBeGreaterThanOrEqual(2000);
    });

    for (const group of groups) {
      const members = mutants.filter((mutant) => mutant.group === group);
      const chosen = wanted ? members.filter(({ number }) => wanted.includes(number)) : members;
      test.skipIf(chosen.length === 0)(
        `${group} (${members.length})`,
        async () => {
          const failures: string[] = [];
          await tryAll(probers, chosen, (mutant, outcome) => {
            const wrong = fault(mutant, outcome);
            if (wanted) console.log(`${mutant.number} ${mutant.what}: ${wrong ?? JSON.stringify(outcome)}`);
            if (wrong !== undefined)
              failures.push(
                `${mutant.number} ${mutant.what}: ${wrong.replaceAll(/\s+/g, ' ').slice(0, 600)}`,
              );
          });
          expect(failures, `replay: TRIGA_MUTANTS=… TRIGA_MUTANT_SEED=${seed}`).toEqual([]);
        },
        300_000,
      );
    }
  },
);
