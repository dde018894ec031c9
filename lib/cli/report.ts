import { type Command, CommanderError, type OutputConfiguration } from 'commander';
import { closest, distance } from 'fastest-levenshtein';

/** Wrong flags or arguments: exit code 2. */
export class UsageError extends Error {}

/** The reader of stdout has left: nothing more to do, and nothing to say. */
export class BrokenPipeError extends Error {}

export const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** How commander's complaints look: ours, with the nearest name of what `command` does have. */
export function usageOutput(command: () => Command): OutputConfiguration {
  return {
    outputError: (text, write) => {
      const message = text
        .replace(/^error: /, '')
        .replace(/ is invalid\. (?=[a-z])/, ' is invalid: ')
        .trimEnd();
      write(`triga: ${message}${nearest(command(), message)}\nTry "${pathOf(command())} --help".\n`);
    },
  };
}

/** The known name that is nearest. One that differs in half of its letters is no help. */
function nearest(command: Command, message: string): string {
  const [, kind, got = ''] = /^unknown (option|command) '((?:--|[^-])[^']+)'/.exec(message) ?? [];
  if (kind === undefined) return '';
  const known =
    kind === 'option'
      ? command.createHelp().visibleOptions(command).flatMap(flagsOf)
      : command.commands.map((verb) => verb.name());
  const name = got.replace(/=.*/s, '');
  const best = known.length > 0 ? closest(name, known) : '';
  return distance(name, best) <= Math.max(name.length, best.length) / 2 ? `; did you mean ${best}?` : '';
}

const flagsOf = ({ short, long }: { short?: string | undefined; long?: string | undefined }): string[] =>
  [short, long].filter((flag) => flag !== undefined);

const pathOf = (command: Command): string =>
  command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();

/** Tells of a failure on stderr, in a line; the exit code that stands for it. */
export function reportFailure(error: unknown): number {
  // Commander has written its message, or the help, already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  if (error instanceof BrokenPipeError) return exitCodes.done;
  if (error instanceof Error && error.name === 'AbortError') return exitCodes.interrupted;
  process.stderr.write(`triga: ${describe(error)}\n`);
  return error instanceof UsageError ? exitCodes.usage : exitCodes.failed;
}

/** A message in a line, or with TRIGA_DEBUG all that is known. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!process.env.TRIGA_DEBUG) return error.message;
  const cause = error.cause === undefined ? '' : `\nCaused by: ${describe(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
