import { join } from 'node:path';
import { InvalidArgumentError } from '../errors.js';
import { checkRuns } from '../tokenizers/check_runs.js';
import { type LoadedTokenizer, loadNativeTokenizer } from '../tokenizers/native_tokenizer.js';
import { readText } from '../tokenizers/tokenizer_files.js';

export interface EncodeDocuments {
  /** Tokens that have a meaning of their own: in a text they would be taken for it. */
  readonly specialTokens: readonly string[];
  /** Ids of the texts, each followed by the end-of-text token: one after the other, and where each ends. */
  encode(documents: readonly { readonly text: string }[]): Promise<{ data: Uint32Array; ends: Uint32Array }>;
}

/** Loads the tokenizer of a directory, in a worker: this takes a while. Throws as the tokenizer's own worker does. */
export function loadEncoder(directory: string, endOfText: number): Promise<EncodeDocuments> {
  const path = join(directory, 'tokenizer.json');
  const text = readText(path);
  if (text === undefined) throw new InvalidArgumentError(`${path}: expected a file, got none`);
  const tokenizer = loadNativeTokenizer(text, path);
  const specialTokens = tokenizer.addedTokens
    .filter(([, id]) => tokenizer.specialIds.has(id))
    .map(([token]) => token);
  return Promise.resolve({
    specialTokens,
    async encode(documents) {
      const lists: number[][] = [];
      for (const document of documents) lists.push([...(await idsOf(document.text, tokenizer)), endOfText]);
      const ends = new Uint32Array(lists.length);
      let length = 0;
      lists.forEach((list, i) => {
        length += list.length;
        ends[i] = length;
      });
      const data = new Uint32Array(length);
      lists.forEach((list, i) => {
        data.set(list, (ends[i] as number) - list.length);
      });
      return { data, ends };
    },
  });
}

async function idsOf(text: string, { native, limits }: LoadedTokenizer): Promise<number[]> {
  checkRuns(text, limits);
  const encoding = await native.encode(text, null, { addSpecialTokens: false });
  return encoding.getIds();
}
