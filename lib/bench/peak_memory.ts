import { readFileSync } from 'node:fs';

/**
 * Largest resident memory of this process so far, in bytes. On Linux as `/proc` has it: what `getrusage` gives includes the memory
 * that the parent process had when it started this one.
 */
export function peakMemory(): number {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    if (kilobytes !== undefined) return Number(kilobytes) * 1024;
  } catch {
    // No /proc.
  }
  return process.resourceUsage().maxRSS * 1024;
}
