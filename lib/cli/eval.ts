import type { Command } from 'commander';
import { addLoadFlags } from './load_flags.js';
import { usageOutput } from './report.js';
import type { EvalFlags } from './run_eval.js';
import { interruptible } from './terminal.js';

/** `triga eval [MODEL]`. */
export function addEval(program: Command): void {
  const command: Command = program
    .command('eval')
    .summary('Measure how well a model predicts a text')
    .description(
      'Prints the perplexity of a text, and how many bits the model needs for each of its bytes: in windows of ' +
        'the full context, half of it apart, each begun by the model’s BOS token; every byte counts once.',
    )
    .argument('[MODEL]', 'model directory, or hf:org/name[@revision]')
    .configureOutput(usageOutput(() => command))
    .requiredOption('--text <file>', 'The text, in UTF-8')
    .optionsGroup('Model:');
  addLoadFlags(command);
  command
    .optionsGroup('Output:')
    .option('--json', 'Print one JSON object: perplexity, bitsPerByte, tokens, bytes')
    .helpOption('-h, --help', 'Print this help')
    .addHelpText(
      'after',
      `
Examples:
  triga eval models/llama --text book.txt
  triga eval models/llama --text book.txt --weights bf16 --json`,
    )
    .action((model: string | undefined, flags: EvalFlags) =>
      interruptible(async (signal) => {
        const { runEval } = await import('./run_eval.js');
        await runEval(model, flags, signal);
      }),
    );
}
