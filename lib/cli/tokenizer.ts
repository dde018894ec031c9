import { type Command, Option } from 'commander';
import { addDocumentFlags } from './document_flags.js';
import { parseCount } from './load_flags.js';
import { usageOutput } from './report.js';
import type { TrainTokenizerFlags } from './run_tokenizer.js';
import { interruptible } from './terminal.js';

/** `triga tokenizer VERB`. */
export function addTokenizer(program: Command): void {
  const command: Command = program
    .command('tokenizer')
    .summary('Train a tokenizer')
    .description('Makes tokenizers, which turn text to token ids and back.')
    .configureOutput(usageOutput(() => command))
    .helpOption('-h, --help', 'Print this help');
  addTrain(command);
}

/** `triga tokenizer train INPUT... -o DIR --vocab-size N`. */
function addTrain(parent: Command): void {
  const command: Command = parent
    .command('train')
    .summary('Learn a vocabulary from texts')
    .description(
      'Trains a byte-level BPE tokenizer, as GPT-2’s, and writes tokenizer.json and tokenizer_config.json, which ' +
        'the usual libraries load.',
    )
    .argument('<INPUT...>', 'files or directories of text, Markdown and JSONL')
    .configureOutput(usageOutput(() => command))
    .requiredOption('-o, --output <directory>', 'Directory to write to; it is made if need be')
    .addOption(
      new Option('--vocab-size <n>', 'Tokens in all: special ones, 256 bytes and merges')
        .argParser(parseCount(2 ** 24))
        .makeOptionMandatory(),
    )
    .addOption(
      new Option(
        '--special-tokens <tokens...>',
        'Get the first ids; the first one ends texts (default: <|endoftext|>)',
      ),
    )
    .addOption(
      new Option('--min-frequency <n>', 'Pairs that occur less often are not merged (default: 2)').argParser(
        parseCount(2 ** 31 - 1),
      ),
    )
    .optionsGroup('Documents:');
  addDocumentFlags(command);
  command
    .optionsGroup('Output:')
    .option('--json', 'Print one JSON object: directory, vocabSize, merges, words, longWords, report')
    .helpOption('-h, --help', 'Print this help')
    .addHelpText(
      'after',
      `
Example:
  triga tokenizer train books/ -o tokenizer --vocab-size 16384`,
    )
    .action((inputs: string[], flags: TrainTokenizerFlags) =>
      interruptible(async (signal) => {
        const { runTrainTokenizer } = await import('./run_tokenizer.js');
        await runTrainTokenizer(inputs, flags, signal);
      }),
    );
}
