import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { addGenerateFlags, generateOptionsOf, parseIds } from '../../lib/cli/generate_flags.js';
import { type OptionName, optionNames } from '../../lib/generate/option_table.js';

type FlagName = Exclude<OptionName, 'signal' | 'assistantModel'>;

/** For each option, flags and the value that they give. */
const samples: Record<FlagName, readonly (readonly [flags: readonly string[], value: unknown])[]> = {
  maxNewTokens: [[['--max-new-tokens', '7'], 7]],
  minNewTokens: [[['--min-new-tokens=0'], 0]],
  doSample: [
    [['--do-sample'], true],
    [['--no-do-sample'], false],
  ],
  temperature: [
    [['--temperature', '0.7'], 0.7],
    [['--temperature', '0'], 0],
  ],
  topK: [[['--top-k', '40'], 40]],
  topP: [[['--top-p', '.9'], 0.9]],
  minP: [[['--min-p', '5e-2'], 0.05]],
  typicalP: [[['--typical-p', '1'], 1]],
  repetitionPenalty: [[['--repetition-penalty', '1.1'], 1.1]],
  presencePenalty: [[['--presence-penalty', '-1.5'], -1.5]],
  frequencyPenalty: [[['--frequency-penalty=-2'], -2]],
  noRepeatNgramSize: [[['--no-repeat-ngram-size', '3'], 3]],
  encoderNoRepeatNgramSize: [[['--encoder-no-repeat-ngram-size', '2'], 2]],
  badWordsIds: [
    [['--bad-words-ids', '5'], [[5]]],
    [
      ['--bad-words-ids', '1,2', '--bad-words-ids', '3'],
      [[1, 2], [3]],
    ],
  ],
  suppressTokens: [
    [
      ['--suppress-tokens', '1, 2,3'],
      [1, 2, 3],
    ],
  ],
  beginSuppressTokens: [[['--begin-suppress-tokens', '0'], [0]]],
  forcedBosTokenId: [[['--forced-bos-token-id', '2'], 2]],
  forcedEosTokenId: [[['--forced-eos-token-id', '2'], [2]]],
  eosTokenId: [
    [
      ['--eos-token-id', '1,2'],
      [1, 2],
    ],
    [['--eos-token-id', ''], []],
  ],
  numBeams: [[['--num-beams', '4'], 4]],
  numReturnSequences: [[['--num-return-sequences', '2'], 2]],
  lengthPenalty: [[['--length-penalty', '-0.5'], -0.5]],
  earlyStopping: [
    [['--early-stopping', 'true'], true],
    [['--early-stopping', 'false'], false],
    [['--early-stopping', 'never'], 'never'],
  ],
  stop: [
    [['--stop', '\n'], ['\n']],
    [
      ['--stop', 'a,b', '--stop', '7'],
      ['a,b', '7'],
    ],
    [
      ['--stop-ids', '1,2', '--stop', 'x'],
      ['x', 1, 2],
    ],
    [['--stop-ids', '3'], [3]],
  ],
  seed: [[['--seed', '9007199254740991'], Number.MAX_SAFE_INTEGER]],
  logprobs: [[['--logprobs', '2'], 2]],
};

function parse(args: readonly string[]): Readonly<Record<string, unknown>> {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  addGenerateFlags(command);
  return command.parse(args, { from: 'user' }).opts();
}

describe('flags of generate()', () => {
  test.each(Object.entries(samples))('%s', (name, cases) => {
    for (const [flags, value] of cases)
      expect(generateOptionsOf(parse(flags)), flags.join(' ')).toEqual({ [name]: value });
  });

  test('every option of the table but the signal has one', () => {
    expect([...Object.keys(samples), 'signal', 'assistantModel'].sort()).toEqual([...optionNames].sort());
    expect(parse(['--assistant-model', 'small'])).toEqual({ assistantModel: 'small' });
  });

  test('no flag, no option', () => {
    expect(generateOptionsOf(parse([]))).toEqual({});
  });

  test('several go together, the last of a name wins', () => {
    const flags = parse(['--top-k', '1', '--temperature', '2', '--top-k', '3', '--do-sample']);
    expect(generateOptionsOf(flags)).toEqual({ topK: 3, temperature: 2, doSample: true });
  });

  test.each([
    ['--top-k', 'x'],
    ['--top-k', '1.5'],
    ['--top-k', ''],
    ['--top-k', '-1'],
    ['--top-p', '0'],
    ['--top-p', '1.1'],
    ['--temperature', 'Infinity'],
    ['--presence-penalty', '3'],
    ['--max-new-tokens', '0'],
    ['--early-stopping', 'maybe'],
    ['--eos-token-id', '1;2'],
    ['--bad-words-ids', ''],
    ['--bad-words-ids', '1,-2'],
    ['--stop', ''],
    ['--stop-ids', 'a'],
    ['--seed', '9007199254740993'],
  ])('%s %j is refused', (flag, value) => {
    expect(() => parse([flag, value])).toThrow(/is invalid/);
  });
});

test('ids are digits between commas', () => {
  expect(parseIds('1,2 , 30')).toEqual([1, 2, 30]);
  expect(parseIds(' ')).toEqual([]);
  for (const text of ['1,,2', '1.0', '0x1', '-1', ',', '99999999999']) expect(() => parseIds(text)).toThrow();
});
