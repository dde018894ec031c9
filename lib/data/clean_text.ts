import { deflateRawSync } from 'node:zlib';
import type { DropReason } from './drop_reasons.js';
import type { InputFormat } from './input_files.js';

export interface CleanSettings {
  /** Whether line ends become \n, Unicode NFC, and control characters and white space around the text go. */
  readonly normalize: boolean;
  /** Whether Project Gutenberg's header and licence, and the front matter of Markdown, are cut off. */
  readonly boilerplate: boolean;
  /** In UTF-16 code units of the cleaned text. */
  readonly minLength: number;
  readonly maxLength: number;
  /** Whether texts that say the same again and again are dropped. */
  readonly repetition: boolean;
}

/** The cleaned text, or why there is none. */
export type Cleaned = { readonly text: string } | { readonly drop: DropReason };

/** C0 and C1 but tab and newline, byte order marks, and code points that are no characters. */
const controls = /(?![\t\n])[\p{Cc}\ufeff\ufffe\uffff]/gu;

/** Cleans a document as `settings` ask. A pure function. */
export function cleanText(raw: string, format: InputFormat, settings: CleanSettings): Cleaned {
  let text = settings.normalize ? normalized(raw) : raw;
  if (settings.boilerplate) text = withoutBoilerplate(text, format);
  if (settings.normalize) text = text.trim();
  if (text.trim() === '') return { drop: 'empty' };
  if (text.length < settings.minLength) return { drop: 'too_short' };
  if (text.length > settings.maxLength) return { drop: 'too_long' };
  if (settings.repetition && isRepetitive(text)) return { drop: 'repetitive' };
  return { text };
}

function normalized(raw: string): string {
  const text = raw.includes('\r') ? raw.replace(/\r\n?/g, '\n') : raw;
  // Most texts have none, and to look costs less than to replace.
  return (text.search(controls) >= 0 ? text.replace(controls, '') : text).normalize('NFC');
}

const gutenbergStart = /^.*\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT).*$/im;
const gutenbergEnd =
  /^.*(?:\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)|End of (?:the )?Project Gutenberg(?:'s|’s)? ).*$/im;
/** YAML between lines of `---`, or TOML between lines of `+++`. */
const frontMatter = /^\s*(---|\+\+\+)[ \t]*\r?\n(?:[^\n]*\n)*?\1[ \t]*(?:\r?\n|$)/;
/** Headings that are fields ("# Title: …"), ended by a rule. */
const headingFields = /^\s*(?:#{1,6} [\p{L} ]{1,30}:[^\n]*\n\s*)+(?:-{3,}|\*{3,}|_{3,})[ \t]*(?:\r?\n|$)/u;
const longestFrontMatter = 1 << 16;

function withoutBoilerplate(text: string, format: InputFormat): string {
  let rest = text;
  if (/project gutenberg/i.test(text)) {
    const start = gutenbergStart.exec(rest);
    if (start) rest = rest.slice(start.index + start[0].length);
    const end = gutenbergEnd.exec(rest);
    if (end) rest = rest.slice(0, end.index);
  }
  if (format !== 'markdown') return rest;
  const head = rest.slice(0, longestFrontMatter);
  const matter = frontMatter.exec(head) ?? headingFields.exec(head);
  return matter ? rest.slice(matter[0].length) : rest;
}

/** Repetition is looked for in so many characters from the start. */
const mostLooked = 1 << 16;
/** Lines from which on their share is looked at. */
const leastLines = 10;
/** Share of characters in lines that came before. Gopher drops from 0.2 on (Rae et al., 2021, table A1); a play has names alone on lines. */
const mostRepeated = 0.3;
/** Characters from which on a text is deflated. */
const leastDeflated = 1024;
/** English prose deflates to 0.4 to 0.5 of its size; below this the text is one phrase over and over. */
const leastRatio = 0.1;

function isRepetitive(text: string): boolean {
  const head = text.slice(0, mostLooked);
  if (repeatedShare(head) > mostRepeated) return true;
  if (head.length < leastDeflated) return false;
  const bytes = Buffer.from(head);
  return deflateRawSync(bytes, { level: 1 }).length < leastRatio * bytes.length;
}

function repeatedShare(text: string): number {
  const lines = text.split('\n');
  if (lines.length < leastLines) return 0;
  const seen = new Set<string>(['']);
  let repeated = 0;
  for (const line of lines) {
    if (seen.has(line)) repeated += line.length;
    else seen.add(line);
  }
  return repeated / text.length;
}
