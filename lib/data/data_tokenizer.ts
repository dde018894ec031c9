import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError } from '../errors.js';
import { loadTokenizer } from '../tokenizers/tokenizer.js';
import { readTokenizerSettings } from '../tokenizers/tokenizer_files.js';

/** What a dataset notes of the tokenizer that makes it. */
export interface DataTokenizer {
  readonly directory: string;
  /** Largest id + 1. */
  readonly vocabSize: number;
  /** Id of the token that follows each document. */
  readonly endOfText: number;
  /** SHA-256 of tokenizer.json. */
  readonly sha256: string;
}

/**
 * Looks at the tokenizer of a model directory. `endOfText` names the token that ends documents; by default it is the `eos_token` of
 * tokenizer_config.json. Rejects with InvalidArgumentError if there is no tokenizer or no such token, and as loadTokenizer does.
 */
export async function dataTokenizer(
  where: string,
  directory: string,
  { endOfText, signal }: { readonly endOfText: string | undefined; readonly signal: AbortSignal | undefined },
): Promise<DataTokenizer> {
  const tokenizer = await loadTokenizer(directory, signal ? { signal } : {});
  if (!tokenizer)
    throw new InvalidArgumentError(`${where}: ${directory}: expected a tokenizer.json in it, got none`);
  try {
    const token = endOfText ?? readTokenizerSettings(directory).specialTokens.eos_token;
    const id = typeof token === 'string' ? tokenizer.tokenToId(token) : undefined;
    if (id === undefined) {
      throw new InvalidArgumentError(
        `${where}: ${directory}: expected a token that ends documents, got ${token === undefined ? 'no eos_token in tokenizer_config.json' : `${JSON.stringify(token)}, which is none of its added tokens`}; name one with the option endOfText`,
      );
    }
    const sha256 = await tokenizerSha256(directory);
    return { directory, vocabSize: tokenizer.vocabSize, endOfText: id, sha256 };
  } finally {
    tokenizer.dispose();
  }
}

/** SHA-256 of a directory's tokenizer.json, in hexadecimal: what tells tokenizers apart. */
export async function tokenizerSha256(directory: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(join(directory, 'tokenizer.json')))
    .digest('hex');
}
