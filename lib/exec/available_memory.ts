import { readFileSync } from 'node:fs';
import { freemem, totalmem } from 'node:os';
import { join } from 'node:path';

/** Memory that may still be taken, and what sets the limit, as a message names it. */
export interface MemoryLimit {
  readonly bytes: number;
  readonly of: string;
}

/**
 * Memory that this process can still take: the least of what the machine and each control group around the process have to spare.
 * Unlike `process.availableMemory()` it counts a container's file cache as free, which the system takes back when it is wanted:
 * whoever has just downloaded a checkpoint has little else. `root` is where /proc and /sys are.
 */
export function availableMemory(root = '/'): MemoryLimit {
  // What macOS calls free leaves out all that it could take back.
  const machine = { bytes: process.platform === 'darwin' ? totalmem() : freemem(), of: 'the machine' };
  return [machine, ...controlGroups(root)].reduce((least, limit) =>
    limit.bytes < least.bytes ? limit : least,
  );
}

/** The two versions of Linux control groups: what their files are called, and which numbers of `memory.stat` are file cache. */
const versions = {
  v1: {
    folder: 'sys/fs/cgroup/memory',
    limit: 'memory.limit_in_bytes',
    usage: 'memory.usage_in_bytes',
    cache: /^total_(?:in)?active_file (\d+)$/gm,
  },
  v2: {
    folder: 'sys/fs/cgroup',
    limit: 'memory.max',
    usage: 'memory.current',
    cache: /^(?:in)?active_file (\d+)$/gm,
  },
} as const;

function controlGroups(root: string): MemoryLimit[] {
  const limits: MemoryLimit[] = [];
  for (const line of read(join(root, 'proc/self/cgroup')).split('\n')) {
    const [, id, controllers, group] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    const version =
      id === '0' ? versions.v2 : controllers?.split(',').includes('memory') ? versions.v1 : undefined;
    if (!version || group === undefined) continue;
    // A container may show the group's path as the host has it, where only the root is there; and any ancestor may set the limit.
    const names = group.split('/').filter((name) => name !== '');
    for (let depth = names.length; depth >= 0; depth--) {
      const limit = limitOf(join(root, version.folder, ...names.slice(0, depth)), version);
      if (limit) limits.push(limit);
    }
  }
  return limits;
}

function limitOf(folder: string, version: (typeof versions)['v1' | 'v2']): MemoryLimit | undefined {
  const limit = Number.parseInt(read(join(folder, version.limit)), 10);
  const usage = Number.parseInt(read(join(folder, version.usage)), 10);
  // 'max', or a number beyond all memory, is no limit.
  if (!(limit < totalmem()) || Number.isNaN(usage)) return undefined;
  let cache = 0;
  for (const [, bytes] of read(join(folder, 'memory.stat')).matchAll(version.cache)) cache += Number(bytes);
  return {
    bytes: Math.max(0, limit - Math.max(0, usage - cache)),
    of: `the control group with its limit of ${Math.floor(limit / 2 ** 20)} MiB`,
  };
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
