import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../../shared/data/books/valid', import.meta.url));

/** Books beside the repository; not every machine has them. */
export const hasBooks = existsSync(folder);
if (!hasBooks) console.warn('test/data: ../shared/data/books is absent: its cases are skipped');
export const books: readonly string[] = hasBooks ? readdirSync(folder).map((name) => join(folder, name)) : [];
