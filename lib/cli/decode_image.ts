import type { Command } from 'commander';
import { addImageLoadFlags } from './load_flags.js';
import { usageOutput } from './report.js';
import type { DecodeImageFlags } from './run_decode_image.js';
import { interruptible } from './terminal.js';

/** `triga decode-image MODEL`. */
export function addDecodeImage(program: Command): void {
  const command: Command = program
    .command('decode-image')
    .summary('Make a picture of an image autoencoder’s latents')
    .description(
      'Decodes latents to a picture and writes it as PNG. Needs the package sharp: npm install sharp.',
    )
    .argument('<MODEL>', 'directory of diffusers, or hf:org/name[@revision]')
    .configureOutput(usageOutput(() => command))
    .requiredOption(
      '--latents <file>',
      'A .safetensors file with the tensor "latents", or with one tensor: [1, L, H, W] or [L, H, W]',
    )
    .requiredOption('-o, --output <file>', 'The .png file to write')
    .optionsGroup('Model:');
  addImageLoadFlags(command);
  command
    .optionsGroup('Help:')
    .helpOption('-h, --help', 'Print this help')
    .addHelpText(
      'after',
      `
Example:
  triga decode-image models/taef2 --latents latents.safetensors -o picture.png`,
    )
    .action((model: string, flags: DecodeImageFlags) =>
      interruptible(async (signal) => {
        const { runDecodeImage } = await import('./run_decode_image.js');
        await runDecodeImage(model, flags, signal);
      }),
    );
}
