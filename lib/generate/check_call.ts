import { InvalidArgumentError } from '../errors.js';
import { nearest } from './nearest.js';

/**
 * Checks the options of the function `where`: their names, those with a choice of values, and `signal`.
 * Throws InvalidArgumentError; for an unknown name it tells the nearest known one.
 */
export function checkCall(
  where: string,
  options: unknown,
  known: { readonly names: readonly string[]; readonly choices: Readonly<Record<string, readonly string[]>> },
): void {
  if (typeof options !== 'object' || options === null)
    throw new InvalidArgumentError(`${where}: expected an object of options, got ${String(options)}`);
  for (const [key, value] of Object.entries(options)) {
    if (!known.names.includes(key))
      throw new InvalidArgumentError(
        `${where}: unknown option "${key}"; did you mean "${nearest(key, known.names)}"?`,
      );
    const values = known.choices[key];
    if (value !== undefined && values && !values.includes(String(value)))
      throw new InvalidArgumentError(
        `${where}: expected ${key} to be one of ${values.join(', ')}, got ${JSON.stringify(value)}`,
      );
    if (key === 'signal' && value !== undefined && !(value instanceof AbortSignal))
      throw new InvalidArgumentError(`${where}: expected signal to be an AbortSignal`);
  }
}
