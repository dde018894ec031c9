import { UnsupportedError } from '../errors.js';

/** Short, for a hostile pattern takes exponential time. */
const probes = ['', 'a', ' a', 'a b', '1.', '\u2581a', '\n', '\u00e9'];

/**
 * Rejects `Replace` of an empty match and `Prepend` of nothing: the Rust library then loses count of the characters, and the
 * next step that changes some ends the process.
 */
export function checkNormalizers(normalizers: readonly Record<string, unknown>[], path: string): void {
  for (const step of normalizers) {
    if (step.prepend !== '' && !canBeEmpty(step.pattern)) continue;
    const got = JSON.stringify(step).slice(0, 80);
    throw new UnsupportedError(`${path}: normalizer: expected texts that are not empty, got ${got}`);
  }
}

function canBeEmpty(pattern: unknown): boolean {
  const { String: text, Regex: source } = Object(pattern) as { String?: unknown; Regex?: unknown };
  if (typeof source !== 'string') return text === '';
  try {
    const regex = new RegExp(source, 'gu');
    return probes.some((probe) => [...probe.matchAll(regex)].some(([match]) => match === ''));
  } catch {
    return false; // Oniguruma's syntax, of which no pattern that matches nothing is known
  }
}
