import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, test } from 'vitest';
import type { OracleModel } from '../models/oracle.js';
import { randomModel } from '../models/tiny_checkpoint.js';

// What the tests of foreign CPUs share: `npm run test:cpus`.

export const root = fileURLToPath(new URL('../..', import.meta.url));
const execute = promisify(execFile);

/** Ids and logits of one level. */
export interface Generated {
  readonly isa: string;
  readonly greedy: readonly number[];
  readonly drawn: readonly number[];
  readonly logits: string; // digest of their bits
}

/** What generate.mjs prints. */
export interface Report {
  readonly arch: string;
  readonly isas: readonly string[];
  readonly runs: readonly {
    readonly f32: Generated | { readonly code: string; readonly message: string };
    readonly bf16: Generated | { readonly code: string; readonly message: string };
  }[];
}

/** A Llama whose sizes are no multiples of a tile, written by the test that runs it. */
export const tinyModel = (): OracleModel =>
  randomModel({
    model_type: 'llama',
    vocab_size: 99,
    hidden_size: 48,
    intermediate_size: 83,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 64,
    rms_norm_eps: 1e-5,
    hidden_act: 'silu',
  });

/** Runs generate.mjs with `node`, a command and its arguments. */
export async function generate(
  node: readonly string[],
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Report> {
  const [command = '', ...options] = [...node, join(root, 'test/cpus/generate.mjs'), ...args];
  const { TRIGA_ISA: _, ...own } = process.env;
  const { stdout } = await execute(command, options, { env: { ...own, ...env } });
  return JSON.parse(stdout) as Report;
}

/** Runs a script of the repository, or npm. What it prints is told only if it fails. */
export async function run(command: string, ...args: string[]): Promise<void> {
  await execute(command, args, { cwd: root, maxBuffer: 2 ** 28 }).catch((error) => {
    throw new Error(`${error.message}\n${error.stdout}`);
  });
}

const onPath = (command: string): boolean =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, command)));

/** Which Debian packages bring what is missing of these commands. */
export const missing = (commands: Readonly<Record<string, string>>): string[] =>
  Object.keys(commands).flatMap((command) => (onPath(command) ? [] : [`Debian's ${commands[command]}`]));

/** describe(), skipped with a message where something is missing; with CI set that is a failure. */
export function describeUnless(lacks: readonly string[], name: string, body: () => void): void {
  const elsewhere = process.platform !== 'linux' || process.arch !== 'x64';
  if (!elsewhere && lacks.length === 0) {
    describe(name, body);
    return;
  }
  const why = elsewhere ? 'runs on Linux x64 only' : `lacks ${lacks.join(', ')}`;
  if (!elsewhere && process.env.CI && process.env.CI !== 'false') {
    test(name, () => {
      throw new Error(`CI is set, and this machine ${why}`);
    });
    return;
  }
  console.log(`skipped: ${name}: ${why}`);
  describe.skip(name, body);
}
