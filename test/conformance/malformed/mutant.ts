import type { Files } from './bases.js';

/** A checkpoint that something is wrong with, and what has to come of it. */
export interface Mutant {
  /** Kind of file, and of harm: mutants of one name are one test. */
  readonly group: string;
  readonly what: string;
  readonly files: () => Files;
  /**
   * `error`: a typed error whose message matches all of `says`; `works`: a model that loads and generates; `either`: one of the two,
   * where an error of loading names `file`.
   */
  readonly outcome: 'error' | 'works' | 'either';
  /** The file that was harmed. */
  readonly file: string;
  readonly says?: readonly (string | RegExp)[] | undefined;
}
