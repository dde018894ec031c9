import { type Command, InvalidArgumentError, Option } from 'commander';
import { usageOutput } from './report.js';
import type { TrainFlags } from './run_train.js';
import { interruptible } from './terminal.js';

const parseNumber = (text: string): number => {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('expected a number.');
  return value;
};

/** Flags that take a number: ranges and defaults are those of train(). */
const numbers: readonly (readonly [group: string, flags: readonly (readonly [string, string])[]])[] = [
  [
    'Length',
    [
      ['--steps <n>', 'Optimizer steps in all'],
      ['--batch-size <n>', 'Sequences of one forward and backward pass (default: 8)'],
      ['--accumulation <n>', 'Passes whose gradients make one step (default: 1)'],
      ['--context-length <n>', "Tokens of a sequence (default: the model's, at most 1024)"],
    ],
  ],
  [
    'Optimizer',
    [
      ['--learning-rate <x>', 'The highest learning rate (default: 1e-3)'],
      ['--min-learning-rate <x>', 'Where schedules that fall end (default: 0)'],
      ['--warmup-steps <n>', 'Steps in which the rate rises (default: a hundredth)'],
      ['--decay-steps <n>', 'Of warmup_stable_decay: last steps, in which it falls (default: a fifth)'],
      ['--beta1 <x>', 'Of AdamW (default: 0.9)'],
      ['--beta2 <x>', 'Of AdamW (default: 0.95)'],
      ['--epsilon <x>', 'Of AdamW (default: 1e-8)'],
      ['--momentum <x>', 'Of SGD (default: 0.9)'],
      ['--weight-decay <x>', 'Of matrices (default: 0.1)'],
      ['--max-gradient-norm <x>', 'Gradients are scaled down to it; 0: never (default: 1)'],
      ['--label-smoothing <x>', 'Share of probability spread over the vocabulary (default: 0)'],
      ['--ema-decay <x>', 'Of a moving average, which is what is written; 0: none (default: 0)'],
    ],
  ],
  [
    'Run',
    [
      ['--seed <n>', 'Of first weights and of the order of the data (default: 0)'],
      ['--checkpoint-every <n>', 'Steps between checkpoints (default: 500)'],
      ['--keep-checkpoints <n>', 'Checkpoints that stay (default: 2)'],
      ['--evaluate-every <n>', 'Steps between evaluations; 0: never (default: 500)'],
      ['--evaluation-tokens <n>', 'Tokens of an evaluation at most (default: 65536)'],
      ['--threads <n>', 'Threads that work for it (default: physical cores)'],
    ],
  ],
];

/** `triga train [MODEL] [DATA] -o DIR`. */
export function addTrain(program: Command): void {
  const command: Command = program
    .command('train')
    .summary('Train a model, new or not, on prepared data')
    .description(
      'Trains a causal language model on data that `triga data` has prepared, and writes a model directory. ' +
        'A run that was ended goes on from its newest checkpoint when the same command is given again.',
    )
    .argument(
      '[MODEL]',
      'model directory: with weights it is fine-tuned, with a config.json and a tokenizer alone it begins anew',
    )
    .argument('[DATA]', 'directory of prepared data')
    .configureOutput(usageOutput(() => command))
    .option('-o, --output <directory>', 'Directory to write to; it is made if need be')
    .option('--config <file>', 'JSON of all of these: model, data, and the options of train(); flags win');
  for (const [group, flags] of numbers) {
    command.optionsGroup(`${group}:`);
    for (const [flag, doc] of flags) command.addOption(new Option(flag, doc).argParser(parseNumber));
    if (group === 'Optimizer') addChoices(command);
  }
  command
    .option('--no-resume', 'Begin anew even if there are checkpoints')
    .optionsGroup('Output:')
    .option('--json', 'Print one JSON object: directory, steps, tokens, loss, validationLoss, …')
    .helpOption('-h, --help', 'Print this help')
    .addHelpText(
      'after',
      `
Examples:
  triga data books/ -o books-data --tokenizer models/llama
  triga train models/llama books-data -o models/mine --steps 2000 --learning-rate 3e-4`,
    )
    .action((model: string | undefined, data: string | undefined, flags: TrainFlags) =>
      interruptible(async (signal) => {
        const { runTrain } = await import('./run_train.js');
        await runTrain(model, data, flags, signal);
      }),
    );
}

function addChoices(command: Command): void {
  const choice = (flag: string, doc: string, values: readonly string[]): Option =>
    new Option(flag, doc).choices(values);
  command
    .addOption(choice('--optimizer <name>', 'What steps (default: adamw)', ['adamw', 'sgd']))
    .addOption(
      choice('--schedule <name>', 'How the rate goes (default: cosine)', [
        'constant',
        'linear',
        'cosine',
        'cosine_with_restarts',
        'polynomial',
        'inverse_sqrt',
        'warmup_stable_decay',
      ]),
    )
    .addOption(
      choice('--compute <type>', 'What products are computed in (default: bf16 where the CPU has it)', [
        'auto',
        'f32',
        'bf16',
      ]),
    )
    .option('--nesterov', 'Of SGD')
    .option('--recompute', 'Compute activations again instead of keeping them');
}
