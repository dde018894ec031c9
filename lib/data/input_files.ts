import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError } from '../errors.js';

/** `text` and `markdown`: a file is a document; `jsonl`: a line is one. */
export type InputFormat = 'text' | 'markdown' | 'jsonl';

export interface InputFile {
  readonly path: string;
  readonly format: InputFormat;
  readonly bytes: number;
}

const formats: readonly (readonly [RegExp, InputFormat])[] = [
  [/\.(txt|text)$/i, 'text'],
  [/\.(md|markdown)$/i, 'markdown'],
  [/\.(jsonl|ndjson)$/i, 'jsonl'],
];
const formatOf = (path: string): InputFormat | undefined =>
  formats.find(([pattern]) => pattern.test(path))?.[1];

/**
 * The files to read, of paths of files and of directories. Of a directory those with a known ending, at any depth, in the order of
 * their names; a file that is named itself needs one too, unless `format` says what it is. A file named twice is read twice: its
 * documents are duplicates then. Throws InvalidArgumentError for a path that is not there, or has none.
 */
export async function inputFiles(
  inputs: readonly string[],
  format: InputFormat | undefined,
): Promise<InputFile[]> {
  if (!Array.isArray(inputs) || inputs.length === 0 || !inputs.every((input) => typeof input === 'string')) {
    throw new InvalidArgumentError(
      `data: expected a list of paths of files or directories, got ${inputs?.length === 0 ? 'none' : JSON.stringify(inputs)}`,
    );
  }
  const lists = await Promise.all(inputs.map((input) => filesOf(input, format)));
  return lists.flat();
}

async function filesOf(input: string, format: InputFormat | undefined): Promise<InputFile[]> {
  const found = await stat(input).catch((cause: unknown) => {
    throw new InvalidArgumentError(`${input}: expected a file or directory, got nothing that can be read`, {
      cause,
    });
  });
  if (!found.isDirectory()) {
    const known = format ?? formatOf(input);
    if (known && found.isFile()) return [{ path: input, format: known, bytes: found.size }];
    throw new InvalidArgumentError(
      `${input}: expected a .txt, .md or .jsonl file, got another; say what it is with the option format`,
    );
  }
  const names = (await readdir(input, { recursive: true })).sort();
  const files: InputFile[] = [];
  for (const name of names) {
    const path = join(input, name);
    const known = formatOf(name);
    if (known === undefined) continue;
    const entry = await stat(path);
    if (entry.isFile()) files.push({ path, format: format ?? known, bytes: entry.size });
  }
  if (files.length > 0) return files;
  throw new InvalidArgumentError(`${input}: expected .txt, .md or .jsonl files in it, got none`);
}
