import { open } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { cleanText } from '../../lib/data/clean_text.js';
import { loadTextData } from '../../lib/data/load_text_data.js';
import { describeReport } from '../../lib/data/report.js';
import { loadTokenizer } from '../../lib/tokenizers/tokenizer.js';
import { scratchFolder } from './scratch.js';
import { putByteTokenizer } from './tiny_tokenizer.js';

const scratch = scratchFolder();
let names = 0;

/** Loads a file of that content with a tokenizer of bytes: its documents' texts, and the report. */
async function loaded(content: string | Uint8Array, ending: string, options: object = {}) {
  const tokenizer = await putByteTokenizer(scratch.path('tokenizer'));
  const file = await scratch.put(`${names++}.${ending}`, content);
  const { train, report } = await loadTextData([file], { tokenizer, ...options });
  const words = await loadTokenizer(tokenizer);
  const text = await words!.decode([...(await train.read(0, train.tokens))], { skipSpecialTokens: false });
  words!.dispose();
  return { texts: text.split('<|endoftext|>').slice(0, -1), report };
}
const line = (text: string): string => `${JSON.stringify({ text })}\n`;

describe('bad input', () => {
  test('lines that are no JSON, or have no text, are dropped and counted', async () => {
    const lines = `${line('one')}{"text": 5}\n\nnothing\n[1]\nnull\n{"text":"\\ud800"}\n{"other":"x"}\n${line('two')}`;
    const { texts, report } = await loaded(lines, 'jsonl');
    expect(texts).toEqual(['one', 'two']);
    expect(report.dropped).toEqual({ malformed: { documents: 6, bytes: 55 } });
    expect(report.read.documents).toBe(8);
    expect(describeReport(report)).toContain('6 documents, 55 bytes: a line that is no JSON object');
    expect((await loaded('{"body":"three"}', 'jsonl', { field: 'body' })).texts).toEqual(['three']);
  });

  test('broken UTF-8, binary files, UTF-16 and empty ones', async () => {
    const broken = Buffer.concat([Buffer.from(line('good')), Buffer.from([0x22, 0xff, 0xfe, 0x22, 0x0a])]);
    const { texts, report } = await loaded(broken, 'jsonl');
    expect(texts).toEqual(['good']);
    expect(report.dropped).toEqual({ not_utf8: { documents: 1, bytes: 4 } });
    for (const [content, reason] of [
      [Uint8Array.of(0xc3, 0x28), /no UTF-8/],
      [Uint8Array.of(1, 0, 2, 0), /NUL bytes/],
      [Buffer.from('\ufefftext', 'utf16le'), /NUL bytes/],
      ['   \n \u0007', /nothing is left/],
      ['', /got none/],
    ] as const) {
      const failed = loaded(content, 'txt');
      await expect(failed).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      await expect(failed).rejects.toThrow(reason);
    }
  });

  test('a duplicate is kept once, unless asked for', async () => {
    const lines = line('a') + line('b') + line(' a\r\n') + line('e\u0301') + line('\u00e9');
    const { texts, report } = await loaded(lines, 'jsonl');
    expect(texts).toEqual(['a', 'b', '\u00e9']);
    expect(report.dropped.duplicate?.documents).toBe(2);
    expect((await loaded(lines, 'jsonl', { deduplicate: false })).texts).toHaveLength(5);
  });

  test('lengths, special tokens and repetition', async () => {
    const same = 'The same again and again. '.repeat(400);
    const lines =
      line('short') + line('quite long') + line('much too long') + line('a<|endoftext|>b') + line(same);
    const { texts, report } = await loaded(lines, 'jsonl', { minLength: 6, maxLength: 12_000 });
    expect(texts).toEqual(['quite long', 'much too long']);
    expect(Object.keys(report.dropped).sort()).toEqual(['repetitive', 'special_token', 'too_short']);
    const kept = await loaded(lines, 'jsonl', { maxLength: 12, repetition: false });
    expect(kept.texts).toEqual(['short', 'quite long']);
    expect(kept.report.dropped.too_long?.documents).toBe(3);
  });

  test('a long line of JSONL is dropped, a long text cut at the end of lines and words', async () => {
    const lines = line('x'.repeat(200)) + line('after');
    const { texts, report } = await loaded(lines, 'jsonl', { maxDocumentBytes: 64 });
    expect(texts).toEqual(['after']);
    expect(report.dropped).toEqual({ too_long: { documents: 1, bytes: 211 } });
    const text = `${'one two three\n'.repeat(3)}${'word '.repeat(7)}end\n${'y'.repeat(90)}\nlast line`;
    const cut = await loaded(text, 'txt', { maxDocumentBytes: 32, deduplicate: false });
    expect(cut.texts.slice(0, 2)).toEqual(['one two three\none two three', 'one two three']);
    expect(cut.texts.at(-1)).toBe('last line');
    expect(cut.texts.join(' ')).not.toContain('y');
    expect(cut.report.dropped.too_long?.documents).toBe(1);
  });

  test('a line of a gibibyte takes no memory', async () => {
    const path = scratch.path('huge.jsonl');
    // A hole of zeros: no room on the disk.
    const file = await open(path, 'w');
    await file.truncate(2 ** 30);
    await file.write(`\n${line('after it')}`, 2 ** 30);
    await file.close();
    const tokenizer = await putByteTokenizer(scratch.path('tokenizer'));
    const before = process.memoryUsage.rss();
    const { train, report } = await loadTextData([path], { tokenizer, threads: 1 });
    expect(process.memoryUsage.rss() - before).toBeLessThan(300e6);
    expect(train.documents).toBe(1);
    expect(report.dropped).toEqual({ too_long: { documents: 1, bytes: 2 ** 30 } });
  });

  test('separators are found wherever they lie', async () => {
    const parts = Array.from({ length: 300 }, (_, i) => `part ${i}`.repeat(1 + (i % 5) * 1000));
    const options = { separator: '<|endoftext|>', repetition: false };
    const { texts } = await loaded(parts.join('<|endoftext|>'), 'txt', options);
    expect(texts.map((text) => text.length)).toEqual(parts.map((text) => text.length));
    expect(texts).toEqual(parts);
  });

  test('a text as its file has it', async () => {
    const odd = ' a\r\nb\u0085 e\u0301\r\n';
    expect((await loaded(odd, 'txt', { normalize: false })).texts).toEqual([odd]);
    expect((await loaded(odd, 'txt', {})).texts).toEqual(['a\nb \u00e9']);
  });

  test('inputs that cannot be read', async () => {
    const tokenizer = await putByteTokenizer(scratch.path('tokenizer'));
    const odd = await scratch.put('data.bin', 'text');
    await expect(loadTextData([odd], { tokenizer })).rejects.toThrow(/option format/);
    await expect(loadTextData([tokenizer], { tokenizer })).rejects.toThrow(/got none/);
    expect((await loadTextData([odd], { tokenizer, format: 'text' })).train.documents).toBe(1);
    for (const inputs of [[], 'path', [5], undefined])
      await expect(loadTextData(inputs as unknown as string[], { tokenizer })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
  });
});

describe('cleanText', () => {
  const settings = { normalize: true, boilerplate: true, repetition: true, minLength: 1, maxLength: 1e6 };
  const text = (raw: string, format: 'text' | 'markdown' = 'text'): unknown =>
    cleanText(raw, format, settings);

  test('line ends, control characters, NFC', () => {
    expect(text('\ufeffa\r\nb\rc\u0000\u0085d\te\u0301 ')).toEqual({ text: 'a\nb\ncd\t\u00e9' });
  });

  test('what is not normalized stays as it is', () => {
    const raw = { ...settings, normalize: false };
    const odd = ' a\r\nb\rc\u0085d\te\u0301\r\n';
    expect(cleanText(odd, 'text', raw)).toEqual({ text: odd });
    expect(cleanText(' \r\n\t', 'text', raw)).toEqual({ drop: 'empty' });
    const page = '---\r\ntitle: X\r\n---\r\nbody\r\n';
    expect(cleanText(page, 'markdown', raw)).toEqual({ text: 'body\r\n' });
    const fields = '# Title: Fables\r\n\r\n## Author: Aesop\r\n\r\n-------\r\nA fox\r\n';
    expect(cleanText(fields, 'markdown', raw)).toEqual({ text: 'A fox\r\n' });
  });

  test("Project Gutenberg's frame", () => {
    const book = [
      'The Project Gutenberg eBook of X',
      '*** START OF THE PROJECT GUTENBERG EBOOK X ***',
      'Call me.',
      '*** END OF THE PROJECT GUTENBERG EBOOK X ***',
      'Licence',
    ].join('\r\n');
    expect(text(book)).toEqual({ text: 'Call me.' });
    expect(cleanText(book, 'text', { ...settings, boilerplate: false })).toHaveProperty(
      'text.length',
      book.length - 4,
    );
  });

  test('front matter, of Markdown alone', () => {
    const page = '---\ntitle: X\n---\n# Head\n---\ntext';
    expect(text(page, 'markdown')).toEqual({ text: '# Head\n---\ntext' });
    expect(text(page)).toEqual({ text: page });
    expect(text('+++\nx = 1\n+++\nb', 'markdown')).toEqual({ text: 'b' });
    const fields = '# Title: Fables\n\n## Author: Aesop\n\n-------\nA fox: he';
    expect(text(fields, 'markdown')).toEqual({ text: 'A fox: he' });
    expect(text('# Title: of a chapter\n\ntext', 'markdown')).toEqual({
      text: '# Title: of a chapter\n\ntext',
    });
    expect(text('---\nno end', 'markdown')).toEqual({ text: '---\nno end' });
  });
});
