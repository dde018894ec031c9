import { rm } from 'node:fs/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { loadSeq2SeqModel } from '../../lib/index.js';
import { availableIsas } from '../../lib/testing.js';
import { withIsa } from '../with_isa.js';
import { activationNames } from './oracle_activation.js';
import type { Json } from './oracle_rope.js';
import { seq2seqLogits } from './oracle_seq2seq.js';
import { randomModel, randomNumbers, writeCheckpoint } from './tiny_checkpoint.js';

const vocabulary = 53;
const blenderbot: Json = {
  model_type: 'blenderbot',
  is_encoder_decoder: true,
  vocab_size: vocabulary,
  d_model: 40,
  encoder_layers: 2,
  encoder_attention_heads: 4,
  encoder_ffn_dim: 52,
  decoder_layers: 2,
  decoder_attention_heads: 4,
  decoder_ffn_dim: 36,
  max_position_embeddings: 48,
  encoder_no_repeat_ngram_size: 0,
  forced_eos_token_id: null,
};

const cases: Readonly<Record<string, Json>> = {
  ...Object.fromEntries(activationNames.map((name) => [name, { ...blenderbot, activation_function: name }])),
  'activation by default': blenderbot,
  'scaled embeddings': { ...blenderbot, scale_embedding: true },
  untied: { ...blenderbot, tie_word_embeddings: false },
  'heads that differ': { ...blenderbot, encoder_attention_heads: 5, decoder_attention_heads: 2 },
  'more layers that read': { ...blenderbot, encoder_layers: 4, decoder_layers: 1 },
  'more layers that write': { ...blenderbot, encoder_layers: 1, decoder_layers: 4 },
  'no layers that read': { ...blenderbot, encoder_layers: 0 },
};

const written: string[] = [];
afterAll(() => Promise.all(written.map((directory) => rm(directory, { recursive: true }))));

const random = randomNumbers(11);
const ids = (length: number): number[] => Array.from({ length }, () => Math.floor(random() * vocabulary));

describe.each(Object.entries(cases))('%s', (_, config) => {
  test('logits and greedy text are those of the definition', async () => {
    const model = randomModel(config);
    const directory = await writeCheckpoint(model);
    written.push(directory);
    const [source, target] = [ids(37), [1, ...ids(18)]];
    const want = seq2seqLogits(model, source, target).flat();
    const check = async (device: 'reference' | 'cpu' | 'onnx'): Promise<void> => {
      await using loaded = await loadSeq2SeqModel(directory, { device });
      const { data } = await loaded.logits(source, target);
      const worst = Math.max(...want.map((x, i) => Math.abs(x - (data[i] as number))));
      expect(worst, device).toBeLessThan(device === 'reference' ? 1e-5 : 1e-4);
      const { tokens } = await loaded.generate(source, { maxNewTokens: 7, eosTokenId: [] });
      const ahead = seq2seqLogits(model, source, [1, ...tokens.slice(0, -1)]);
      expect(tokens, device).toEqual(ahead.map((row) => row.indexOf(Math.max(...row))));
    };
    await check('reference');
    await check('onnx');
    for (const isa of availableIsas()) await withIsa(isa, () => check('cpu'));
  });
});
