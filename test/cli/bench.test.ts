import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { removeModels, writeByteModel } from '../generate/byte_model.js';
import { triga } from './run_cli.js';

let model: string;
beforeAll(async () => {
  model = await writeByteModel({ context: 64 });
});
afterAll(() => removeModels([model]));

const size = ['--prompt', '16', '--tokens', '4', '--rounds', '1'];

describe('triga bench', () => {
  test('prints one JSON object with the fields of the contract, and nothing else', async () => {
    const args = ['bench', model, ...size, '--batch', '2', '--weights', 'bf16', '--threads', '1', '--json'];
    const { code, stdout, stderr } = await triga(args, { env: { TRIGA_ISA: 'scalar' } });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const number = expect.any(Number);
    expect(JSON.parse(stdout)).toEqual({
      cpu: expect.any(String),
      isa: 'scalar',
      threads: 1,
      prefillTokensPerSecond: number,
      decodeTokensPerSecond: number,
      spread: 0,
      bandwidthGBps: number,
      bandwidthShare: number,
      peakGops: number,
      peakShare: number,
      rssBytes: number,
      loadMs: number,
    });
  });

  test('prints a table', async () => {
    const { code, stdout } = await triga(['bench', model, ...size, '--threads', '1']);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^.+ threads\n {2}Prefill .* tokens\/s\n.* GOP\/s\n {2}Decode .*spread 0%\n.* GB\/s\n {2}Memory .*\n {2}Loading .* ms\n$/,
    );
  });

  test('of nothing ends with 1 and a line', async () => {
    const { code, stdout, stderr } = await triga(['bench', 'no/such/model', '--json']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^triga: .*no\/such\/model.*\n$/);
  });

  test('of more than the context ends with 1', async () => {
    const { code, stderr } = await triga(['bench', model, '--prompt', '60', '--tokens', '4']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/at most 64, the model's context, got 65/);
  });
});
