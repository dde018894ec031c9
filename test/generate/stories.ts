import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Trained weights of a small Llama; not part of the repository, but beside it. */
export const stories = fileURLToPath(new URL('../../../shared/models/stories260K', import.meta.url));

/** Why tests that need it do not run, or undefined. */
export const hasStories = existsSync(stories);

/** What it says greedily after "Once upon a time". */
export const storyBegin = 'Once upon a time';
export const storyText =
  ', there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.\n';
