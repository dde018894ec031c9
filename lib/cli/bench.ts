import { type Command, Option } from 'commander';
import { addCpuFlags, parseCount } from './load_flags.js';
import { usageOutput } from './report.js';
import type { BenchFlags } from './run_bench.js';
import { interruptible } from './terminal.js';

const count = (flag: string, most: number, doc: string): Option =>
  new Option(`${flag} <n>`, doc).argParser(parseCount(most));

/** `triga bench [MODEL]`. */
export function addBench(program: Command): void {
  const command: Command = program
    .command('bench')
    .summary('Measure a model, beside what this machine can do')
    .description(
      'Measures how fast a model reads prompts and continues them on this CPU, in rounds, each beside the ' +
        'bandwidth of memory and the rate of arithmetic that the machine reaches at that moment.',
    )
    .argument('[MODEL]', 'model directory, or hf:org/name[@revision]')
    .configureOutput(usageOutput(() => command))
    .optionsGroup('Load:')
    .addOption(count('--prompt', 2 ** 24, 'Tokens of a prompt (default: 128)'))
    .addOption(count('--tokens', 2 ** 24, 'Tokens that a sequence decodes (default: 64)'))
    .addOption(count('--batch', 512, 'Sequences that run together (default: 1)'))
    .addOption(count('--rounds', 1000, 'Times that everything is measured (default: 5)'))
    .optionsGroup('Model:');
  addCpuFlags(command);
  command
    .optionsGroup('Output:')
    .option('--json', 'Print one JSON object')
    .helpOption('-h, --help', 'Print this help')
    .addHelpText('after', meaning)
    .action((model: string | undefined, flags: BenchFlags) =>
      interruptible(async (signal) => {
        const { runBench } = await import('./run_bench.js');
        await runBench(model, flags, signal);
      }),
    );
}

const meaning = `
Fields of the JSON object (rates and shares are medians of the rounds):
  prefillTokensPerSecond  prompt tokens of all sequences, given at once, until each has its first token
  decodeTokensPerSecond   tokens of all sequences together, after the first of each
  spread                  (greatest - least) / median of the decode rates
  bandwidthGBps           plain reads of 1 GiB a thread, by the fastest of five patterns
  bandwidthShare          bytes that decoding must read (weights of linears and output layer once a step, keys and
                          values of each context) per second / bandwidthGBps; above 1 where caches hold much of it
  peakGops                10^9 operations a second in registers, in the type that the weights are multiplied in; of q8,
                          in vector registers, which matrix tiles (AMX) exceed
  peakShare               operations of the prefill (two for each weight and token, attention; the output layer for
                          the last token only) per second / peakGops
  rssBytes                most memory of the process with the model loaded and run once
  loadMs                  time to load the model

Examples:
  triga bench models/llama
  triga bench models/llama --prompt 512 --tokens 128 --batch 8 --json`;
