import { type Command, Option } from 'commander';
import { usageOutput } from './report.js';
import type { QuantizeFlags } from './run_quantize.js';
import { interruptible } from './terminal.js';

/** `triga quantize MODEL -o DIR`. */
export function addQuantize(program: Command): void {
  const command: Command = program
    .command('quantize')
    .summary('Write a model with smaller weights')
    .description(
      'Writes a model directory with quantized weights, which every command and loadTextModel run as they are stored.',
    )
    .argument('<MODEL>', 'model directory, or hf:org/name[@revision]')
    .configureOutput(usageOutput(() => command))
    .requiredOption('-o, --output <directory>', 'Directory to write to; it is made if need be')
    .addOption(
      new Option(
        '--weights <type>',
        'q8: int8 numbers, one f16 scale for each 32 of a row (the default)',
      ).choices(['q8']),
    )
    .option('--json', 'Print one JSON object: directory, files, matrices, bytesBefore, bytes')
    .helpOption('-h, --help', 'Print this help')
    .addHelpText(
      'after',
      `
Example:
  triga quantize models/llama -o models/llama-q8 && triga generate models/llama-q8 -p "Once upon a time"`,
    )
    .action((model: string, flags: QuantizeFlags) =>
      interruptible(async (signal) => {
        const { runQuantize } = await import('./run_quantize.js');
        await runQuantize(model, flags, signal);
      }),
    );
}
