// Run by probe.ts as a process of its own: for each directory that is sent, loads the model, uses it, and sends what came of it.
import { inspectTextModel } from '../../../dist/generate/inspect_text_model.js';
import { loadKind } from '../../../dist/generate/load_text_model.js';
import { TrigaError } from '../../../dist/index.js';

const texts = [
  '',
  'hello world',
  ' a  b\n\n',
  'Hello, wörld! 12.5 日本語 🙂 e\u0301\t',
  'a'.repeat(64),
  `${'z'.repeat(40)}!`,
];
const ids = [1, 5, 6, 5];
let stage = '';

process.on('unhandledRejection', (error) => process.send?.({ stray: String(error) }));
process.on('message', async ({ directory }) => {
  process.send?.({ ...(await outcome(directory)), rss: process.resourceUsage().maxRSS / 1024 });
});

async function outcome(directory) {
  try {
    stage = 'load';
    await agree(directory);
    return { works: true };
  } catch (error) {
    const typed = error instanceof TrigaError;
    return {
      works: false,
      typed,
      stage,
      name: error?.name,
      code: error?.code,
      message: String(error?.message),
      stack: error?.stack,
    };
  }
}

/** Both readers of a directory have to say the same of it; what inspection does not look at (a tokenizer) only loading can refuse. */
async function agree(directory) {
  const inspected = await inspectTextModel(directory).catch((error) => error);
  if (inspected instanceof Error && !(inspected instanceof TrigaError)) throw inspected;
  const options = { device: 'cpu', threads: 2 };
  const model = await loadKind({ where: 'loadTextModel' }, directory, options);
  try {
    if (inspected instanceof Error) throw new Error(`inspection refuses what loads: ${inspected.message}`);
    await use(model);
  } finally {
    await model.dispose();
  }
}

async function use(model) {
  stage = 'use';
  const prompt = ids.slice(0, Math.max(1, Math.min(ids.length, model.info.contextLength - 1)));
  const { data } = await (model.info.family === 'blenderbot'
    ? model.logits(prompt, prompt)
    : model.logits(prompt));
  if (!data.every(Number.isFinite)) throw new Error('logits that are not finite');
  for (const options of [
    { maxNewTokens: 3, logprobs: 1, doSample: false, numBeams: 1, numReturnSequences: 1 },
    { seed: 1 },
  ]) {
    const { sequences } = await model.generate(prompt, options);
    for (const { tokens, score, logprobs = [] } of sequences) {
      const numbers = [score, ...logprobs.map(({ logprob }) => logprob)];
      // A token that is forced may be one of probability 0.
      if (numbers.some((x) => Number.isNaN(x) || x > 1e-3)) throw new Error(`scores ${numbers}`);
      if (tokens.some((id) => id < 0 || id >= model.info.vocabSize)) throw new Error(`tokens ${tokens}`);
    }
  }
  if (hasTokenizer(model)) await useTokenizer(model);
  await leaveOff(model, prompt);
}

/** Requests that are aborted at once and soon, one that is left, and one under way when the model is disposed. */
async function leaveOff(model, prompt) {
  const options = { doSample: false, numBeams: 1, numReturnSequences: 1, eosTokenId: [] };
  for (const wait of [0, 1]) {
    const abort = new AbortController();
    const request = model.generate(prompt, { ...options, signal: abort.signal });
    setTimeout(() => abort.abort(), wait);
    const error = await request.then(
      () => undefined,
      (reason) => reason,
    );
    if (error && error.name !== 'AbortError' && !(error instanceof TrigaError)) throw error;
  }
  for await (const _ of model.generate(prompt, options)) break;
  const pending = model.generate(prompt, options).then(
    () => undefined,
    (reason) => reason,
  );
  await model.dispose();
  const error = await pending;
  if (error && !(error instanceof TrigaError)) throw error;
}

function hasTokenizer(model) {
  try {
    return Boolean(model.tokenizer);
  } catch {
    return false;
  }
}

async function useTokenizer(model) {
  const { tokenizer } = model;
  for (const text of texts) {
    const encoded = await tokenizer.encode(text);
    await tokenizer.decode(encoded, { skipSpecialTokens: false });
  }
  await tokenizer.decode(Array.from({ length: model.info.vocabSize }, (_, id) => id));
  await tokenizer.decode([2 ** 32 - 1, 0, 2 ** 31]);
  await model.generate('hello', { maxNewTokens: 3, doSample: false });
}
