import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { availableMemory } from '../../lib/exec/available_memory.js';

const roots: string[] = [];
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});

const MiB = 2 ** 20;

/** A folder that has these files, as a machine's root would. */
function machine(files: Readonly<Record<string, string | number>>): string {
  const root = mkdtempSync(path.join(tmpdir(), 'triga-cgroup-'));
  roots.push(root);
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, `${content}\n`);
  }
  return root;
}

const free = (files: Readonly<Record<string, string | number>>): number =>
  availableMemory(machine(files)).bytes / MiB;

describe('memory that is available', () => {
  test('without control groups is what the machine can spare', () => {
    const { bytes, of } = availableMemory(machine({}));
    expect(of).toBe('the machine');
    expect(bytes / process.availableMemory()).toBeCloseTo(1, 1);
  });

  test('is what the control group leaves (version 2), with its file cache, which the system takes back', () => {
    const group = 'sys/fs/cgroup/app/web';
    const files = {
      'proc/self/cgroup': '0::/app/web',
      [`${group}/memory.max`]: 64 * MiB,
      [`${group}/memory.current`]: 50 * MiB,
      [`${group}/memory.stat`]: `anon ${20 * MiB}\ninactive_file ${25 * MiB}\nactive_file ${5 * MiB}\nfile ${30 * MiB}`,
    };
    expect(free(files)).toBe(44);
    expect(availableMemory(machine(files)).of).toMatch(/limit of 64 MiB/);
  });

  test('is bounded by every ancestor', () => {
    expect(
      free({
        'proc/self/cgroup': '0::/app/web',
        'sys/fs/cgroup/app/web/memory.max': 'max',
        'sys/fs/cgroup/app/web/memory.current': 1 * MiB,
        'sys/fs/cgroup/app/memory.max': 30 * MiB,
        'sys/fs/cgroup/app/memory.current': 10 * MiB,
        'sys/fs/cgroup/memory.max': 40 * MiB,
        'sys/fs/cgroup/memory.current': 10 * MiB,
      }),
    ).toBe(20);
  });

  test('is what the control group leaves (version 1), also where its path is the host’s', () => {
    const folder = 'sys/fs/cgroup/memory';
    expect(
      free({
        'proc/self/cgroup': '5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/docker/abc',
        [`${folder}/memory.limit_in_bytes`]: 100 * MiB,
        [`${folder}/memory.usage_in_bytes`]: 70 * MiB,
        [`${folder}/memory.stat`]: `active_file 1\ntotal_inactive_file ${8 * MiB}\ntotal_active_file ${2 * MiB}`,
      }),
    ).toBe(40);
  });

  test('is none where the limit is used up, and unlimited where the limit is beyond all memory', () => {
    const group = (limit: string | number): Record<string, string | number> => ({
      'proc/self/cgroup': '0::/',
      'sys/fs/cgroup/memory.max': limit,
      'sys/fs/cgroup/memory.current': 70 * MiB,
    });
    expect(free(group(60 * MiB))).toBe(0);
    expect(availableMemory(machine(group('9223372036854771712'))).of).toBe('the machine');
  });
});
