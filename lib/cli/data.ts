import { type Command, InvalidArgumentError, Option } from 'commander';
import { addDocumentFlags } from './document_flags.js';
import { parseCount } from './load_flags.js';
import { usageOutput } from './report.js';
import type { DataFlags } from './run_data.js';
import { interruptible } from './terminal.js';

/** `triga data INPUT... -o DIR --tokenizer DIR`. */
export function addData(program: Command): void {
  const command: Command = program
    .command('data')
    .summary('Make token shards of texts, to train on')
    .description(
      'Reads texts, cleans them, drops duplicates, and writes their tokens in files that training reads; says what was ' +
        'dropped and why. The directory is a dataset once its manifest.json is there.',
    )
    .argument('<INPUT...>', 'files or directories of text, Markdown and JSONL')
    .configureOutput(usageOutput(() => command))
    .requiredOption('-o, --output <directory>', 'Directory to write to; it is made if need be')
    .requiredOption('--tokenizer <directory>', 'Directory with the tokenizer.json of the model')
    .option('--end-of-text <token>', 'Token that follows each document (default: the tokenizer’s eos_token)')
    .addOption(
      new Option('--validation <share>', 'Share of documents to hold back, as 0.01 (default: 0)').argParser(
        parseShare,
      ),
    )
    .addOption(new Option('--seed <n>', 'Chooses those documents (default: 0)').argParser(parseSeed))
    .addOption(
      new Option('--shard-tokens <n>', 'Most tokens of a file (default: 134217728)').argParser(
        parseCount(2 ** 40),
      ),
    )
    .optionsGroup('Documents:');
  addDocumentFlags(command);
  command
    .optionsGroup('Output:')
    .option('--json', 'Print one JSON object: directory, and what manifest.json holds')
    .helpOption('-h, --help', 'Print this help')
    .addHelpText(
      'after',
      `
Example:
  triga data books/ -o books-tokens --tokenizer tokenizer --validation 0.01`,
    )
    .action((inputs: string[], flags: DataFlags) =>
      interruptible(async (signal) => {
        const { runData } = await import('./run_data.js');
        await runData(inputs, flags, signal);
      }),
    );
}

function parseShare(text: string): number {
  const share = Number(text);
  if (text.trim() === '' || !(share >= 0 && share < 1))
    throw new InvalidArgumentError('expected a number from 0 to below 1.');
  return share;
}

function parseSeed(text: string): number {
  const seed = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(seed))
    throw new InvalidArgumentError('expected an integer from 0 to 2^53 - 1.');
  return seed;
}
