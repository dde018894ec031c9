import { type Command, Option } from 'commander';
import { usageOutput } from './report.js';
import type { ExportOnnxFlags } from './run_export.js';
import { interruptible } from './terminal.js';

/** `triga export FORMAT MODEL`. */
export function addExport(program: Command): void {
  const command: Command = program
    .command('export')
    .summary('Write a model in another format')
    .description('Writes a model for other runtimes.')
    .configureOutput(usageOutput(() => command))
    .helpOption('-h, --help', 'Print this help');
  addOnnx(command);
}

/** `triga export onnx MODEL -o DIR`. */
function addOnnx(parent: Command): void {
  const command: Command = parent
    .command('onnx')
    .summary('ONNX, as onnxruntime runs it')
    .description(
      'Writes model.onnx, its weights in model.onnx_data, and the configuration and tokenizer files beside them. Inputs and ' +
        'outputs are named as Hugging Face’s optimum names them, past and present keys and values among them.',
    )
    .argument('<MODEL>', 'model directory, or hf:org/name[@revision]')
    .configureOutput(usageOutput(() => command))
    .requiredOption('-o, --output <directory>', 'Directory to write to; it is made if need be')
    .addOption(
      new Option('--weights <type>', 'stored: f16 as it is, everything else as f32; f32: all as f32').choices(
        ['stored', 'f32'],
      ),
    )
    .option('--json', 'Print one JSON object: directory, files, bytes')
    .helpOption('-h, --help', 'Print this help')
    .addHelpText(
      'after',
      `
Example:
  triga export onnx models/llama -o models/llama-onnx`,
    )
    .action((model: string, flags: ExportOnnxFlags) =>
      interruptible(async (signal) => {
        const { runExportOnnx } = await import('./run_export.js');
        await runExportOnnx(model, flags, signal);
      }),
    );
}
