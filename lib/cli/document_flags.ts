import { type Command, Option } from 'commander';
import type { DocumentOptions } from '../data/document_options.js';
import type { InputFormat } from '../data/input_files.js';
import { parseCount } from './load_flags.js';

const formats = { text: 0, markdown: 0, jsonl: 0 } as const satisfies Record<InputFormat, 0>;

/** What flags say of how documents are read and cleaned. */
export type DocumentFlags = Pick<
  DocumentOptions,
  | 'format'
  | 'field'
  | 'separator'
  | 'normalize'
  | 'boilerplate'
  | 'minLength'
  | 'maxLength'
  | 'repetition'
  | 'deduplicate'
  | 'maxDocumentBytes'
  | 'threads'
>;

/** Adds the flags that say how documents are read and cleaned. */
export function addDocumentFlags(command: Command): void {
  command
    .addOption(
      new Option('--format <format>', 'What the files are (default: by .txt, .md and .jsonl)').choices(
        Object.keys(formats),
      ),
    )
    .option('--field <name>', 'Field of a line of JSONL that has the text (default: text)')
    .option('--separator <text>', 'What stands between documents of a text file, such as <|endoftext|>')
    .option('--no-normalize', 'Keep line ends, forms of Unicode, and control characters')
    .option('--no-boilerplate', 'Keep licences of Project Gutenberg and front matter')
    .option('--no-repetition', 'Keep texts that say the same again and again')
    .option('--no-deduplicate', 'Keep texts that came before')
    .addOption(count('--min-length', 2 ** 31 - 1, 'Drop shorter documents, in characters'))
    .addOption(count('--max-length', 2 ** 31 - 1, 'Drop longer documents'))
    .addOption(count('--max-document-bytes', 2 ** 28, 'Longest document that is read (default: 16 MiB)'))
    .addOption(count('--threads', 256, 'Threads that work for it (default: all)'));
}

const count = (flag: string, most: number, doc: string): Option =>
  new Option(`${flag} <n>`, doc).argParser(parseCount(most));

/** The options that flags gave. */
export function documentOptionsOf(flags: DocumentFlags): DocumentFlags {
  const { format, field, separator, normalize, boilerplate, minLength, maxLength } = flags;
  const { repetition, deduplicate, maxDocumentBytes, threads } = flags;
  const clean = { normalize, boilerplate, minLength, maxLength, repetition, deduplicate };
  return { format, field, separator, ...clean, maxDocumentBytes, threads };
}
