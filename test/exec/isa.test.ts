import { execFileSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chooseIsa, isaNames } from '../../lib/exec/isa.js';
import { DeviceUnavailableError, InvalidArgumentError, loadTextModel } from '../../lib/index.js';
import { availableIsas } from '../../lib/testing.js';
import { randomModel, writeCheckpoint } from '../models/tiny_checkpoint.js';
import { withIsa } from '../with_isa.js';

const llama = {
  model_type: 'llama',
  vocab_size: 20,
  hidden_size: 16,
  intermediate_size: 12,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  max_position_embeddings: 16,
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
};

let directory: string;
beforeAll(async () => {
  directory = await writeCheckpoint(randomModel(llama));
});
afterAll(() => rm(directory, { recursive: true }));

const absent = isaNames.filter((isa) => !availableIsas().includes(isa));
const here = `this machine runs ${availableIsas().join(', ')}`;

// An x64 machine lacks the levels of arm64, and the other way round: there is always one to try.
describe.each(['auto', 'cpu'] as const)('TRIGA_ISA with device %s', (device) => {
  const load = (isa: string) => withIsa(isa, () => loadTextModel(directory, { device }));

  test.each(availableIsas())('%s, which runs here, is what runs', async (isa) => {
    await using model = await load(isa);
    expect(model.info).toMatchObject({ device: 'cpu', isa });
  });

  test.each(absent)('%s, which does not run here', async (isa) => {
    const loading = load(isa);
    await expect(loading).rejects.toBeInstanceOf(DeviceUnavailableError);
    await expect(loading).rejects.toThrow(`TRIGA_ISA asks for "${isa}"`);
    await expect(loading).rejects.toThrow(here);
  });

  test.each(['sse9', 'AVX2', 'toString', 'avx512_bf16 '])('"%s", which is no level', async (isa) => {
    const loading = load(isa);
    await expect(loading).rejects.toBeInstanceOf(InvalidArgumentError);
    await expect(loading).rejects.toThrow(`got "${isa}"; ${here}`);
    for (const name of isaNames) await expect(loading).rejects.toThrow(name);
  });

  test('empty is as good as unset', async () => {
    await using model = await load('');
    expect(model.info.isa).toBe(availableIsas()[0]);
  });

  test('without the addon it is an error, too', () => {
    const code = `
      const { loadTextModel } = await import(${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)});
      await loadTextModel(${JSON.stringify(directory)}, { device: '${device}' }).catch((error) => console.log(error.code));`;
    const env = { ...process.env, TRIGA_PREBUILD: tmpdir(), TRIGA_ISA: 'scalar' };
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', code], {
      env,
      encoding: 'utf8',
    });
    expect(out.trim()).toBe('DEVICE_UNAVAILABLE');
  });
});

test('the call comes first, then TRIGA_ISA, then the best', async () => {
  const choose = (isa: string, given?: string) =>
    withIsa(isa, () => Promise.resolve(chooseIsa(['avx512', 'avx2', 'scalar'], given)));
  expect(await choose('avx2', 'scalar')).toBe('scalar');
  expect(await choose('avx2')).toBe('avx2');
  expect(await choose('')).toBe('avx512');
});
