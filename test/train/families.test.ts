import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadTextModel, prepareData, train } from '../../lib/index.js';
import { hasStories, stories } from '../cli/run_cli.js';
import { toy, toyConfig } from './toy.js';

const t = toy();
const { tie_word_embeddings: _, ...untied } = toyConfig;
const configs: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  gpt2: {
    model_type: 'gpt2',
    vocab_size: 257,
    n_embd: 32,
    n_layer: 2,
    n_head: 4,
    n_positions: 64,
    bos_token_id: 0,
    eos_token_id: 0,
  },
  llama: { ...untied, tie_word_embeddings: false, attention_bias: true, mlp_bias: true },
  'llama with BOS': { ...toyConfig, bos_token_id: 0 },
  mistral: { ...untied, model_type: 'mistral', sliding_window: 8 },
  qwen2: { ...toyConfig, model_type: 'qwen2' },
  qwen3: { ...toyConfig, model_type: 'qwen3', head_dim: 16 },
};
const options = { batchSize: 4, contextLength: 32, evaluateEvery: 50, evaluationTokens: 512 };

describe('train', () => {
  test.each(Object.entries(configs))(
    '%s learns, and its checkpoint is what was trained',
    async (name, config) => {
      const first = await train({ config, tokenizer: t.tokenizer }, t.data, {
        ...options,
        output: t.path(name),
        steps: 50,
        learningRate: 5e-3,
      });
      expect(first.validationLoss).toBeLessThan(3.5);
      // A rate of 0: the loss of the weights that were read back.
      const again = await train(t.path(name), t.data, {
        ...options,
        output: t.path(`${name} again`),
        steps: 1,
        learningRate: 0,
      });
      expect(again.validationLoss).toBe(first.validationLoss);

      // Both load for generation, and are the same model.
      await using model = await loadTextModel(t.path(name), { weights: 'f32' });
      expect(model.info.ignoredFields).toEqual([]);
      await using tuned = await loadTextModel(join(t.path(`${name} again`)), { weights: 'f32' });
      expect(await tuned.logits([1, 2, 3])).toEqual(await model.logits([1, 2, 3]));
    },
  );

  test.skipIf(!hasStories)('a model of the llama2.c family is fine-tuned on other sentences', async () => {
    await prepareData([t.path('texts')], {
      tokenizer: stories,
      endOfText: '</s>',
      out: t.path('stories-data'),
      repetition: false,
      validation: 0.2,
    });
    const losses: number[] = [];
    const { validationLoss } = await train(stories, t.path('stories-data'), {
      ...options,
      output: t.path('stories'),
      steps: 30,
      learningRate: 1e-3,
      evaluateEvery: 15,
      onEvent: (event) => event.type === 'step' && losses.push(event.loss),
    });
    expect(validationLoss).toBeLessThan((losses[0] as number) - 0.5);
    await using model = await loadTextModel(t.path('stories'));
    expect((await model.generate('the old ', { maxNewTokens: 8 })).text).toMatch(/[a-z]/);
  });
});
