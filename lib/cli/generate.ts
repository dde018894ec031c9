import { type Command, Option } from 'commander';
import { addGenerateFlags, parseIds } from './generate_flags.js';
import { addLoadFlags } from './load_flags.js';
import { usageOutput } from './report.js';
import type { GenerateFlags } from './run_generate.js';
import { interruptible } from './terminal.js';

/** `triga generate [MODEL]`. */
export function addGenerate(program: Command): void {
  const command: Command = program
    .command('generate')
    .summary('Continue a prompt, or chat')
    .description(
      'Continues a prompt and prints what follows it, as it comes; a model with an encoder reads the ' +
        'prompt and writes a text of its own. What no flag gives is as the model’s ' +
        'generation_config.json has it.',
    )
    .argument('[MODEL]', 'model directory, or hf:org/name[@revision]')
    .configureOutput(usageOutput(() => command))
    .optionsGroup('Prompt:')
    .option('-p, --prompt <text>', 'Text to continue; "-", or none where stdin is piped: read stdin')
    .addOption(
      new Option('--ids <ids>', 'Token ids to continue, as in 1,2,3; prints ids')
        .argParser(parseIds)
        .conflicts(['prompt', 'chat']),
    )
    .option('--chat', 'Treat the prompt as a message to the assistant; without one, converse')
    .option('--system <text>', 'System message of the chat')
    .optionsGroup('Model:');
  addLoadFlags(command);
  command.optionsGroup('Generation (as in Hugging Face’s generate):');
  addGenerateFlags(command);
  command
    .optionsGroup('Output:')
    .option('--json', 'Print one JSON object at the end: result, model and tokens/s')
    .option('--verbose', 'Print a summary on stderr, even if that is no terminal')
    .helpOption('-h, --help', 'Print this help')
    .addHelpText('after', examples)
    .action((model: string | undefined, flags: GenerateFlags) =>
      interruptible(async (signal) => {
        const { runGenerate } = await import('./run_generate.js');
        await runGenerate(model, flags, signal);
      }),
    );
}

const examples = `
Examples:
  triga generate models/llama -p "Once upon a time" --max-new-tokens 100
  triga generate models/llama -p "Once upon a time" --temperature 0.8 --top-p 0.9 --seed 7
  triga generate models/gpt2 --num-beams 4 --num-return-sequences 2 --json < prompt.txt
  triga generate hf:Qwen/Qwen3-0.6B --chat --system "Answer in one sentence."
  triga generate models/no_tokenizer --ids 1,2,3`;
