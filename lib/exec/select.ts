import { DeviceUnavailableError, InvalidArgumentError, UnsupportedError } from '../errors.js';
import { cpuExecutor } from './cpu.js';
import type { Executor } from './executor.js';
import { onnxExecutor } from './onnx.js';
import { referenceExecutor } from './reference.js';

export const deviceNames = ['auto', 'cuda', 'cpu', 'onnx', 'reference'] as const;
export type DeviceOption = (typeof deviceNames)[number];

export interface Selection {
  readonly executor: Executor;
  /** Why it is not the device that `auto` would rather take. */
  readonly fallbackReason?: string;
}

export interface SelectOptions {
  /** Left out: TRIGA_DEVICE, or `auto`. */
  readonly device?: DeviceOption | undefined;
  readonly threads?: number | undefined;
}

/**
 * The device asked for, or with `auto` the first that works. Throws DeviceUnavailableError saying what would help if the one named
 * cannot run here, UnsupportedError if this version does not have it.
 */
export function selectExecutor(options: SelectOptions): Selection {
  const device = options.device ?? (process.env.TRIGA_DEVICE || 'auto');
  if (!(deviceNames as readonly string[]).includes(device)) {
    throw new InvalidArgumentError(`device: expected one of ${deviceNames.join(', ')}, got "${device}"`);
  }
  const threads = threadCount(options.threads);
  switch (device as DeviceOption) {
    case 'reference':
      return { executor: referenceExecutor };
    case 'cpu':
      return { executor: cpuExecutor({ threads }) };
    case 'onnx':
      return { executor: onnxExecutor({ threads }) };
    case 'cuda':
      throw new UnsupportedError(`device "${device}" is not built yet; use "cpu" or "auto"`);
    case 'auto':
      return automatic(threads);
  }
}

function automatic(threads: number | undefined): Selection {
  // It names what only the addon has: falling back would ignore it.
  if (process.env.TRIGA_ISA) return { executor: cpuExecutor({ threads }) };
  const reasons: string[] = [];
  for (const make of [cpuExecutor, onnxExecutor]) {
    try {
      const executor = make({ threads });
      return { executor, ...(reasons.length > 0 ? { fallbackReason: reasons.join('; ') } : {}) };
    } catch (error) {
      if (!(error instanceof DeviceUnavailableError)) throw error;
      reasons.push(error.message);
    }
  }
  return { executor: referenceExecutor, fallbackReason: reasons.join('; ') };
}

/** Threads asked for by the caller or TRIGA_THREADS; undefined: nobody did. Throws InvalidArgumentError. */
export function threadCount(given: number | undefined): number | undefined {
  const fromEnvironment = process.env.TRIGA_THREADS;
  const threads = given ?? (fromEnvironment ? Number(fromEnvironment) : undefined);
  if (threads === undefined || (Number.isInteger(threads) && threads >= 1 && threads <= 256)) return threads;
  const name = given === undefined ? 'TRIGA_THREADS' : 'threads';
  throw new InvalidArgumentError(
    `${name}: expected an integer from 1 to 256, got ${String(given ?? fromEnvironment)}`,
  );
}
