import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { bytes } from '../../lib/cli/table.js';
import type { MachineInfo } from '../../lib/exec/machine.js';
import type { TextModelSummary } from '../../lib/generate/inspect_text_model.js';
import { hasStories, stories, triga } from './run_cli.js';

const manifest = new URL('../../package.json', import.meta.url);
const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };

interface Inspection {
  readonly machine: MachineInfo;
  readonly model?: TextModelSummary;
}

async function inspect(args: readonly string[], env: Record<string, string> = {}): Promise<Inspection> {
  const { code, stdout, stderr } = await triga(['inspect', '--json', ...args], { env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Inspection;
}

describe('triga inspect', () => {
  test('describes the machine', async () => {
    const { machine, ...rest } = await inspect([]);
    expect(rest).toEqual({});
    expect(machine).toMatchObject({ node: process.version, addon: { available: true, version } });
    expect(machine.isas).toContain('scalar');
    expect(machine.threads).toBeGreaterThan(0);
    expect(machine.memoryBytes).toBeGreaterThanOrEqual(machine.availableMemoryBytes);
    expect(machine.devices.map(({ device }) => device)).toEqual(['cuda', 'cpu', 'onnx', 'reference']);
    expect(machine.devices.every(({ available, isa, reason }) => (available ? isa : reason))).toBe(true);
    expect(machine.auto).toEqual({ device: 'cpu', isa: machine.isas[0] });
  });

  test('follows the environment', async () => {
    const { machine } = await inspect([], { TRIGA_ISA: 'scalar', TRIGA_THREADS: '1' });
    expect(machine).toMatchObject({ threads: 1, auto: { device: 'cpu', isa: 'scalar' } });
  });

  test('says what is wrong with the environment', async () => {
    const { machine } = await inspect([], { TRIGA_ISA: 'sse9' });
    expect(machine.auto).toEqual({ reason: expect.stringMatching(/sse9/) });
    expect(machine.devices.find(({ device }) => device === 'cpu')).toMatchObject({ available: false });
    expect(machine.devices.find(({ device }) => device === 'reference')).toMatchObject({ available: true });
  });

  test('says why the addon is not there', async () => {
    const { machine } = await inspect([], { TRIGA_PREBUILD: tmpdir() });
    expect(machine.addon).toEqual({ available: false, reason: expect.stringMatching(/npm run build/) });
    expect(machine.isas).toEqual([]);
    expect(machine.auto).toMatchObject({ device: 'onnx', reason: expect.stringMatching(/addon/) });
  });

  test('prints a table', async () => {
    const { code, stdout } = await triga(['inspect']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Machine\n(?: {2}\S.*\n)+$/);
  });
});

describe.skipIf(!hasStories)('triga inspect MODEL', () => {
  test('describes the model by its files', async () => {
    const { model } = await inspect([stories]);
    expect(model).toMatchObject({
      family: 'llama',
      parameters: 260032,
      tensors: { f32: { count: 47, bytes: 1040128 } },
      unusedTensors: [],
      contextLength: 512,
      unbounded: false,
      vocabSize: 512,
      tokenizer: true,
      chatTemplate: false,
      // 5 layers × 4 heads × 8 numbers × (k and v) × 4 bytes
      memory: { weightBytes: 1040128, kvBytesPerToken: 1280, kvBytesPerContext: 1280 * 512 },
      generation: { options: { eosTokenId: [1, 2], doSample: false }, bosTokenId: 1 },
      ignoredFields: [],
    });
    expect(model?.fileBytes).toBeGreaterThan(1040128);
  });

  test('--weights changes the estimate', async () => {
    const [stored, half] = [await inspect([stories]), await inspect([stories, '--weights', 'bf16'])];
    expect(half.model?.memory.weightBytes).toBeLessThan((stored.model?.memory.weightBytes ?? 0) * 0.6);
  });

  test('prints a table', async () => {
    const { code, stdout } = await triga(['inspect', stories]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/\n\nModel\n(?: {2}\S.*\n)+$/);
    expect(stdout).toMatch(/^ {2}Parameters +260,032$/m);
  });
});

test('sizes are readable', () => {
  expect([0, 512, 1280, 1023.6 * 1024, 7 * 2 ** 30, 3 * 2 ** 50].map(bytes)).toEqual([
    '0 B',
    '512 B',
    '1.25 KiB',
    '1024 KiB',
    '7.00 GiB',
    '3072 TiB',
  ]);
});
