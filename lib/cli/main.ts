#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addBench } from './bench.js';
import { addData } from './data.js';
import { addDecodeImage } from './decode_image.js';
import { addEval } from './eval.js';
import { addExport } from './export.js';
import { addGenerate } from './generate.js';
import { addInspect } from './inspect.js';
import { addQuantize } from './quantize.js';
import { reportFailure, usageOutput } from './report.js';
import { tameStreams } from './terminal.js';
import { addTokenizer } from './tokenizer.js';
import { addTrain } from './train.js';

const manifest = new URL('../../package.json', import.meta.url);
const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };

const program: Command = new Command('triga');
program
  .description('A native AIGC runtime for Node.js')
  .version(version, '-V, --version', 'Print the version')
  .helpOption('-h, --help', 'Print this help')
  .configureOutput(usageOutput(() => program))
  .showSuggestionAfterError(false)
  .exitOverride()
  .addHelpText(
    'after',
    `
MODEL is a Hugging Face model directory, or hf:org/name[@revision] (local cache first).

Examples:
  triga generate models/llama -p "Once upon a time"
  triga generate hf:Qwen/Qwen3-0.6B --chat
  triga inspect models/llama

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
Environment: TRIGA_DEVICE, TRIGA_THREADS, TRIGA_ISA; TRIGA_DEBUG=1 prints stack traces.`,
  );
addGenerate(program);
addInspect(program);
addEval(program);
addBench(program);
addQuantize(program);
addDecodeImage(program);
addExport(program);
addData(program);
addTokenizer(program);
addTrain(program);

tameStreams();
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error);
}
