import { createRequire } from 'node:module';

/** The name that is most like `name`. Loads what it needs when a name is wrong: a start has no use for it. */
export function nearest(name: string, names: readonly string[]): string {
  const { closest } = createRequire(import.meta.url)('fastest-levenshtein') as {
    closest(name: string, names: readonly string[]): string;
  };
  return closest(name, names);
}
