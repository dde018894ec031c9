import { describe, expect, test } from 'vitest';
import { loadSeq2SeqModel, type Seq2SeqModel } from '../../lib/index.js';
import { availableIsas, hiddenStates } from '../../lib/testing.js';
import { type Golden, type GoldenTensor, readGolden } from '../golden.js';
import { withIsa } from '../with_isa.js';
import { aren, arenGolden, hasAren } from './aren.js';

type Words = Golden<{ readonly words: readonly string[] }>;

const places: readonly { name: string; device: 'reference' | 'onnx' | 'cpu'; isa?: string }[] = [
  { name: 'reference', device: 'reference' },
  { name: 'onnx', device: 'onnx' },
  ...availableIsas().map((isa) => ({ name: `cpu ${isa}`, device: 'cpu' as const, isa })),
];

const rows = ({ shape, data }: GoldenTensor): number[][] => {
  const width = shape.at(-1) as number;
  return Array.from({ length: data.length / width }, (_, i) => [
    ...data.subarray(i * width, (i + 1) * width),
  ]);
};
const ids = (golden: Words, name: string): number[] => rows(golden.tensors[name] as GoldenTensor)[0] ?? [];

function expectClose(got: ArrayLike<number>, want: GoldenTensor | undefined, name: string): void {
  expect(got.length, name).toBe(want?.data.length);
  const differences = Array.from(got, (x, i) => Math.abs(x - (want?.data[i] as number)));
  expect(Math.max(...differences), name).toBeLessThan(1e-4);
}

/** New tokens of a golden sequence: without the start token and what pads it after the end. */
const newTokens = (sequence: readonly number[]): number[] => {
  const end = sequence.indexOf(2);
  return sequence.slice(1, end < 0 ? sequence.length : end + 1);
};

async function checkStates(model: Seq2SeqModel, golden: Words, word: string): Promise<void> {
  const [source, target] = [ids(golden, `${word}/input_ids`), ids(golden, `${word}/decoder_input_ids`)];
  const sides = {
    encoder: await hiddenStates(model, source),
    decoder: await hiddenStates(model, source, target),
  };
  for (const [side, states] of Object.entries(sides)) {
    expect(states).toHaveLength(7);
    for (const i of [0, 1, 6]) {
      const name = `${word}/${side}_hidden_states.${i}`;
      expectClose(states[i]?.data ?? [], golden.tensors[name], name);
    }
  }
  expectClose(
    sides.encoder[6]?.data ?? [],
    golden.tensors[`${word}/encoder_last_hidden_state`],
    'encoder output',
  );
}

async function checkWord(model: Seq2SeqModel, golden: Words, word: string): Promise<void> {
  const source = ids(golden, `${word}/input_ids`);
  const logits = await model.logits(source, ids(golden, `${word}/decoder_input_ids`));
  expectClose(logits.data, golden.tensors[`${word}/logits`], `${word}/logits`);
  const greedy = ids(golden, `${word}/greedy_sequences`);
  expect((await model.generate(source, { maxNewTokens: 30 })).tokens).toEqual(newTokens(greedy));
  const steps = await model.logits(source, greedy.slice(0, -1));
  expectClose(steps.data, golden.tensors[`${word}/greedy_step_logits`], `${word}/greedy_step_logits`);
  const options = { maxNewTokens: 30, numBeams: 4, numReturnSequences: 4 };
  const { sequences } = await model.generate(source, options);
  const beams = rows(golden.tensors[`${word}/beam_sequences`] as GoldenTensor);
  expect(sequences.map(({ tokens }) => tokens)).toEqual(beams.map(newTokens));
  expectClose(
    sequences.map(({ score }) => score),
    golden.tensors[`${word}/beam_sequences_scores`],
    `${word}/beam scores`,
  );
}

/** Log-probabilities that the authors of the weights publish for given targets. */
async function checkScores(model: Seq2SeqModel, golden: Words, pair: string): Promise<void> {
  const labels = ids(golden, `${pair}/labels`);
  const logits = await model.logits(
    ids(golden, `${pair}/input_ids`),
    ids(golden, `${pair}/decoder_input_ids`),
  );
  const width = logits.shape[1] as number;
  const got = labels.map((label, t) => {
    const row = Array.from(logits.data.subarray(t * width, (t + 1) * width), Number);
    return (row[label] as number) - Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0));
  });
  expectClose(got, golden.tensors[`${pair}/upstream_token_logprobs`], pair);
}

describe.skipIf(!hasAren).each(places)('aren-transliteration on $name', ({ device, isa }) => {
  test('states, logits, greedy, beams, published scores', async () => {
    const run = async (): Promise<void> => {
      const golden: Words = readGolden(arenGolden);
      await using model = await loadSeq2SeqModel(aren, { device, weights: 'f32' });
      expect(model.info).toMatchObject({ family: 'blenderbot', device, contextLength: 500, vocabSize: 94 });
      expect(model.info.ignoredFields).toEqual([]);
      for (let i = 0; i < 5; i++) {
        await checkStates(model, golden, `word/${i}`);
        await checkWord(model, golden, `word/${i}`);
      }
      for (let i = 0; i < 4; i++) await checkScores(model, golden, `score/${i}`);
    };
    await (isa ? withIsa(isa, run) : run());
  });

  test('all words at once, as text', async () => {
    const run = async (): Promise<void> => {
      const golden: Words = readGolden(arenGolden);
      await using model = await loadSeq2SeqModel(aren, { device, weights: 'f32' });
      const { words } = golden.json;
      const results = await Promise.all(
        words.map((word, i) => model.generate(word, i % 2 ? { numBeams: 4 } : {})),
      );
      const [greedy, beams] = ['greedy', 'beam'].map((kind) =>
        rows(golden.tensors[`batch/${kind}_sequences`] as GoldenTensor).map(newTokens),
      );
      expect(results.map(({ tokens }) => tokens)).toEqual(words.map((_, i) => (i % 2 ? beams : greedy)?.[i]));
      for (const [i, { text, tokens, usage }] of results.entries()) {
        expect(text).toBe(await model.tokenizer.decode(tokens));
        expect(usage).toEqual({
          promptTokens: words[i]?.length,
          completionTokens: tokens.length,
          cachedTokens: 0,
        });
      }
      expect(results.map(({ text }) => text)).toEqual([
        'atzmon',
        'mahmad',
        'cristina',
        'washenten',
        'maradona',
      ]);
    };
    await (isa ? withIsa(isa, run) : run());
  });

  test('what the authors state of bad words and least lengths', async () => {
    const run = async (): Promise<void> => {
      await using model = await loadSeq2SeqModel(aren, { device });
      const word = readGolden<Words['json']>(arenGolden).json.words[0] as string;
      const bad = [[8], [11, 23, 13]]; // o, tzm
      expect((await model.generate(word, { badWordsIds: bad })).text).toBe('atzumun');
      for (const numBeams of [1, 4])
        expect([...(await model.generate(word, { minNewTokens: 8, numBeams })).text]).toHaveLength(8);
    };
    await (isa ? withIsa(isa, run) : run());
  });
});

describe.skipIf(!hasAren)('text of aren-transliteration', () => {
  const word = 'مارادونا'; // maradona

  test('streams as it is written', async () => {
    await using model = await loadSeq2SeqModel(aren, { device: 'cpu' });
    const pieces: string[] = [];
    const tokens: number[] = [];
    for await (const piece of model.generate(word)) {
      pieces.push(piece.text);
      tokens.push(...piece.tokens);
    }
    expect(pieces.join('')).toBe('maradona');
    expect(tokens.at(-1)).toBe(2);
  });

  test('ends at stop strings and ids, and reports log-probabilities', async () => {
    await using model = await loadSeq2SeqModel(aren, { device: 'cpu' });
    const stopped = await model.generate(word, { stop: 'do' });
    expect(stopped).toMatchObject({ text: 'mara', finishReason: 'stop' });
    const d = 15;
    expect(await model.generate(word, { stop: d })).toMatchObject({ text: 'mara', finishReason: 'stop' });
    const { sequences } = await model.generate(word, { logprobs: 3 });
    const logprobs = sequences[0]?.logprobs ?? [];
    expect(logprobs).toHaveLength(9);
    for (const { token, logprob, top } of logprobs) expect(top[0]).toEqual({ token, logprob });
    expect(sequences[0]?.score).toBeCloseTo(logprobs.reduce((sum, { logprob }) => sum + logprob, 0));
  });

  test('is the same for the same seed', async () => {
    await using model = await loadSeq2SeqModel(aren, { device: 'cpu' });
    const draw = (seed: number) => model.generate(word, { temperature: 2, seed, numReturnSequences: 4 });
    const [one, again, other] = await Promise.all([draw(1), draw(1), draw(2)]);
    expect(again?.sequences).toEqual(one?.sequences);
    expect(other?.sequences).not.toEqual(one?.sequences);
  });
});
