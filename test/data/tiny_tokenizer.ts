import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { byteLevelFiles } from '../../lib/tokenizers/byte_level.js';

/** Writes a tokenizer of single bytes: id of a byte-level character is 1 + its place in the alphabet, 0 ends texts. */
export async function putByteTokenizer(directory: string): Promise<string> {
  const { tokenizer, config } = byteLevelFiles({
    specialTokens: ['<|endoftext|>'],
    merges: new Int32Array(),
  });
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'tokenizer.json'), JSON.stringify(tokenizer));
  await writeFile(join(directory, 'tokenizer_config.json'), JSON.stringify(config));
  return directory;
}
