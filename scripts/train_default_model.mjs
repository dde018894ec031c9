// node scripts/train_default_model.mjs CORPUS WORK [--steps N] [--decay N] [--install]: the recipe of the built-in model. CORPUS is a
// directory of books, WORK one for what is made on the way. Every stage is skipped if it is done, and training goes on from its newest
// checkpoint: end it whenever you like (Ctrl-C waits for a checkpoint), and give the same command again. With --install the result
// replaces lib/models/default/.
//
// 1. A byte-level BPE vocabulary of 8192, of which <|endoftext|> begins and ends texts.
// 2. The books as tokens, as they are, since the model is measured on the raw files of others: headings and line ends stay. Those of
//    every second book are \n: the model follows the line ends of its prompt.
// 3. A Llama of 7.2 million parameters: first rows of 256 tokens at a constant learning rate, then, while it falls, rows of 512.
// 4. Weights as q8.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { prepareData, quantizeModel, train, trainTokenizer } from '../dist/index.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = path.join(root, 'lib/models/default');
const endOfText = '<|endoftext|>';

const config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: 8192,
  hidden_size: 256,
  num_hidden_layers: 7,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 64,
  intermediate_size: 688,
  hidden_act: 'silu',
  max_position_embeddings: 512,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
  attention_bias: false,
  mlp_bias: false,
  bos_token_id: 0,
  eos_token_id: 0,
  initializer_range: 0.02,
};

/** Drawn, as greedy text of so small a model goes round in circles. */
const generation = {
  bos_token_id: 0,
  eos_token_id: 0,
  do_sample: true,
  temperature: 0.75,
  top_p: 0.9,
  repetition_penalty: 1.1,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: 'string', default: '6600' },
    decay: { type: 'string', default: '1600' },
    install: { type: 'boolean', default: false },
  },
});
const [corpus, work] = positionals;
if (!corpus || !work) {
  process.stderr.write('usage: train_default_model.mjs CORPUS WORK [--steps N] [--decay N] [--install]\n');
  process.exit(2);
}
const [steps, decay] = [Number(values.steps), Number(values.decay)];
const at = (/** @type {string[]} */ ...names) => path.join(work, ...names);
const writeJson = (/** @type {string} */ file, /** @type {unknown} */ value) =>
  writeFileSync(file, `${JSON.stringify(value)}\n`);

/** How the books become documents. */
const asTheyAre = { normalize: false, boilerplate: false };

/** The books, every second one with \n for line ends. */
function copyBooks() {
  if (existsSync(at('books'))) return;
  rmSync(at('books.part'), { recursive: true, force: true });
  mkdirSync(at('books.part'), { recursive: true });
  for (const [index, name] of readdirSync(corpus).sort().entries()) {
    const text = readFileSync(path.join(corpus, name), 'utf8');
    writeFileSync(at('books.part', name), index % 2 ? text.replaceAll('\r\n', '\n') : text);
  }
  renameSync(at('books.part'), at('books'));
}

/** config.json and the tokenizer: what a model that begins anew is made of. */
async function makeTokenizer() {
  if (existsSync(at('new/config.json'))) return;
  const { tokenizer, config: settings } = await trainTokenizer([at('books')], {
    ...asTheyAre,
    vocabSize: config.vocab_size,
    specialTokens: [endOfText],
  });
  mkdirSync(at('new'), { recursive: true });
  // A prompt begins with the token that begins every row of the training.
  const begin = { SpecialToken: { id: endOfText, type_id: 0 } };
  const text = (/** @type {string} */ id, /** @type {number} */ type_id) => ({ Sequence: { id, type_id } });
  const post_processor = {
    type: 'TemplateProcessing',
    single: [begin, text('A', 0)],
    pair: [begin, text('A', 0), text('B', 1)],
    special_tokens: { [endOfText]: { id: endOfText, ids: [0], tokens: [endOfText] } },
  };
  writeJson(at('new/tokenizer.json'), { ...tokenizer, post_processor });
  writeJson(at('new/tokenizer_config.json'), settings);
  writeJson(at('new/generation_config.json'), generation);
  writeJson(at('new/config.json'), config);
}

async function makeData() {
  if (existsSync(at('data/manifest.json'))) return;
  await prepareData([at('books')], {
    ...asTheyAre,
    out: at('data'),
    tokenizer: at('new'),
    validation: 0.01,
    seed: 0,
  });
}

/** Trains until `last` steps are done, with rows of so many tokens. */
async function trainTo(
  /** @type {number} */ last,
  /** @type {number} */ contextLength,
  /** @type {AbortSignal} */ interrupted,
) {
  const reached = new AbortController();
  try {
    await train(at('new'), at('data'), {
      output: at('model'),
      steps,
      contextLength,
      batchSize: 4096 / contextLength,
      learningRate: 2e-3,
      schedule: 'warmup_stable_decay',
      warmupSteps: 200,
      decaySteps: decay,
      beta2: 0.98,
      weightDecay: 0.1,
      seed: 1,
      checkpointEvery: 200,
      evaluateEvery: 500,
      signal: AbortSignal.any([reached.signal, interrupted]),
      onEvent(event) {
        if (event.type === 'evaluation')
          process.stdout.write(
            `step ${event.step}: ${event.bitsPerByte.toFixed(4)} bits a byte of validation\n`,
          );
        // A run that is there already is not begun again.
        const step = event.type === 'resume' || event.type === 'step' ? event.step : 0;
        if (last < steps && step >= last) reached.abort();
      },
    });
  } catch (error) {
    if (!reached.signal.aborted || interrupted.aborted) throw error;
  }
}

const interrupt = new AbortController();
process.on('SIGINT', () => interrupt.abort());
copyBooks();
await makeTokenizer();
await makeData();
try {
  await trainTo(steps - decay, 256, interrupt.signal);
  await trainTo(steps, 512, interrupt.signal);
} catch (error) {
  if (!interrupt.signal.aborted) throw error;
  process.stderr.write('stopped: the same command goes on\n');
  process.exit(130);
}
rmSync(at('q8'), { recursive: true, force: true });
await quantizeModel(at('model'), at('q8'));
if (values.install) {
  mkdirSync(target, { recursive: true });
  for (const file of [
    'config.json',
    'generation_config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ]) {
    copyFileSync(at('q8', file), path.join(target, file));
  }
}
const { tokens } = readFileSync(at('model/metrics.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line))
  .findLast(({ type }) => type === 'step');
process.stdout.write(`${at('q8')}: ${steps} steps, ${tokens} tokens\n`);
