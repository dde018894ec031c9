import type { Command } from 'commander';
import { weightsFlag } from './load_flags.js';
import { usageOutput } from './report.js';
import type { InspectFlags } from './run_inspect.js';
import { interruptible } from './terminal.js';

/** `triga inspect [MODEL]`. */
export function addInspect(program: Command): void {
  const command: Command = program
    .command('inspect')
    .summary('Describe this machine, and a model')
    .description(
      'Describes this machine: CPU, instruction sets, memory, and what can run models. With MODEL, also the ' +
        'model: family, parameters, memory. Reads configurations and headers, no weights.',
    )
    .argument('[MODEL]', 'model directory, or hf:org/name[@revision]')
    .configureOutput(usageOutput(() => command))
    .addOption(weightsFlag())
    .option('--json', 'Print one JSON object')
    .helpOption('-h, --help', 'Print this help')
    .addHelpText(
      'after',
      `
Examples:
  triga inspect
  triga inspect models/llama --weights bf16
  triga inspect models/llama --json`,
    )
    .action((model: string | undefined, flags: InspectFlags) =>
      interruptible(async (signal) => {
        const { runInspect } = await import('./run_inspect.js');
        await runInspect(model, flags, signal);
      }),
    );
}
