import { cpus, totalmem } from 'node:os';
import { TrigaError } from '../errors.js';
import { loadBinding } from './binding.js';
import { defaultThreads } from './default_threads.js';
import type { DeviceName } from './executor.js';
import { loadOnnxruntime, onnxruntimeVersion } from './onnx_runtime.js';
import { deviceNames, type Selection, selectExecutor, threadCount } from './select.js';

/** Whether something can be used here; if not, `reason` says why and what would help. */
export interface Availability {
  readonly available: boolean;
  readonly version?: string;
  readonly reason?: string;
}

export interface DeviceAvailability extends Availability {
  readonly device: DeviceName;
  /** What it would run on. */
  readonly isa?: string;
}

/** What this machine and this installation of triga can do. */
export interface MachineInfo {
  readonly platform: string;
  readonly node: string;
  readonly cpu: string;
  /** Hardware threads. */
  readonly logicalCores: number;
  readonly memoryBytes: number;
  /** Within the container's limit, if there is one. */
  readonly availableMemoryBytes: number;
  /** Instruction sets that the CPU and the addon both have, best first. */
  readonly isas: readonly string[];
  /**
   * Threads that a model gets unless the call says otherwise: TRIGA_THREADS, or the physical cores within affinity and quota.
   * Undefined: TRIGA_THREADS is no such number.
   */
  readonly threads: number | undefined;
  readonly addon: Availability;
  readonly onnxruntime: Availability;
  readonly devices: readonly DeviceAvailability[];
  /** What `device: 'auto'` takes, and why not an earlier one. */
  readonly auto: { readonly device?: DeviceName; readonly isa?: string; readonly reason?: string };
}

/** Looks at CPU, memory, addon and devices. Never throws for what is missing. */
export function describeMachine(): MachineInfo {
  const binding = attempt(loadBinding);
  const addon = isFailure(binding)
    ? { available: false, reason: binding.reason }
    : { available: true, version: binding.version };
  return {
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
    cpu: cpus()[0]?.model.trim() || 'unknown',
    logicalCores: cpus().length,
    memoryBytes: totalmem(),
    availableMemoryBytes: process.availableMemory(),
    isas: isFailure(binding) ? [] : binding.isas,
    threads: threadsByDefault(),
    addon,
    onnxruntime: findOnnxruntime(),
    devices: deviceNames.filter((name) => name !== 'auto').map(describeDevice),
    auto: describeAuto(),
  };
}

interface Failure {
  readonly reason: string;
}

function attempt<T extends object>(run: () => T): T | Failure {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof TrigaError)) throw error;
    return { reason: error.message };
  }
}

const isFailure = (result: object): result is Failure => 'reason' in result;

function describeDevice(device: DeviceName): DeviceAvailability {
  const selected = attempt(() => selectExecutor({ device }));
  return isFailure(selected)
    ? { device, available: false, reason: selected.reason }
    : { device, available: true, isa: selected.executor.isa };
}

function describeAuto(): MachineInfo['auto'] {
  const selected = attempt((): Selection => selectExecutor({}));
  if (isFailure(selected)) return selected;
  const { executor, fallbackReason } = selected;
  return {
    device: executor.device,
    isa: executor.isa,
    ...(fallbackReason === undefined ? {} : { reason: fallbackReason }),
  };
}

function threadsByDefault(): number | undefined {
  const asked = attempt(() => ({ count: threadCount(undefined) ?? defaultThreads() }));
  return isFailure(asked) ? undefined : asked.count;
}

function findOnnxruntime(): Availability {
  const found = attempt(loadOnnxruntime);
  return isFailure(found)
    ? { available: false, reason: found.reason }
    : { available: true, version: onnxruntimeVersion() };
}
