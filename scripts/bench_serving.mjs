// Measures what continuous batching and prefix reuse give: node scripts/bench_serving.mjs MODEL_DIRECTORY
// Eight greedy requests at once beside one (4 tokens in, 64 out, whole wall time), and a prompt of 1,000 tokens, new and repeated
// (a model with an encoder: of as many as that has positions; it shares no prefixes). Prints one JSON object. The model is any Hugging Face directory; prompts are random token ids, so it needs no tokenizer.
import { cpus } from 'node:os';
import { median } from '../dist/bench/median.js';
import { loadKind } from '../dist/generate/load_text_model.js';

const [directory, rounds = '3'] = process.argv.slice(2);
if (!directory) {
  console.error('usage: node scripts/bench_serving.mjs MODEL_DIRECTORY [ROUNDS]');
  process.exit(2);
}

const newTokens = 64;
let state = 1;
const randomIds = (count, vocabulary) =>
  Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % vocabulary;
  });

const model = await loadKind({ where: 'bench_serving' }, directory, {});
const { vocabSize, contextLength } = model.info;
const options = { maxNewTokens: newTokens, eosTokenId: [], doSample: false };

/** Tokens a second of `count` greedy requests at once, from short prompts of their own. */
async function decode(count) {
  const prompts = Array.from({ length: count }, () => randomIds(4, vocabSize));
  const started = performance.now();
  await Promise.all(prompts.map((prompt) => model.generate(prompt, options)));
  return (count * newTokens) / ((performance.now() - started) / 1000);
}

/** Time to the first token of a long prompt, new and repeated. */
async function prefix() {
  const prompt = randomIds(Math.min(1000, contextLength), vocabSize);
  const run = () => model.generate(prompt, { ...options, maxNewTokens: 1 });
  const cold = await run();
  const warm = await run();
  return {
    cold: cold.timings.firstTokenMs,
    warm: warm.timings.firstTokenMs,
    cachedTokens: warm.usage.cachedTokens,
  };
}

await decode(1);
const one = [];
const eight = [];
const prefixes = [];
for (let i = 0; i < Number(rounds); i++) {
  one.push(await decode(1));
  eight.push(await decode(8));
  prefixes.push(await prefix());
}
console.log(
  JSON.stringify(
    {
      cpu: cpus()[0]?.model,
      isa: model.info.isa,
      weights: model.info.weights,
      oneTokensPerSecond: median(one),
      eightTokensPerSecond: median(eight),
      ratio: median(eight.map((e, i) => e / one[i])),
      coldFirstTokenMs: median(prefixes.map((p) => p.cold)),
      warmFirstTokenMs: median(prefixes.map((p) => p.warm)),
      warmShare: median(prefixes.map((p) => p.warm / p.cold)),
      cachedTokens: Math.min(...prefixes.map((p) => p.cachedTokens)),
    },
    null,
    2,
  ),
);
await model.dispose();
