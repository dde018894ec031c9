import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { roundTo } from '../../lib/dtype.js';
import { loadTextModel } from '../../lib/index.js';
import type { OracleModel } from '../models/oracle.js';
import { randomModel, writeCheckpoint } from '../models/tiny_checkpoint.js';

const config = {
  model_type: 'llama',
  vocab_size: 90,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
};
const root = fileURLToPath(new URL('../..', import.meta.url));
const prompt = [5, 17, 80, 3, 42, 42, 9];

interface Said {
  readonly tokens: number[];
  readonly logits: number[];
  readonly info: { readonly device: string; readonly fallbackReason?: string };
  readonly error?: { readonly name: string; readonly code: string; readonly message: string };
}

let directory: string;
let bf16: string;
/** A folder without a native binary, and one with a file that is none. */
let empty: string;
let broken: string;
/** A copy of the package as npm leaves it when the install script of an optional dependency fails. */
let bare: string;

beforeAll(async () => {
  const model = randomModel(config);
  directory = await writeCheckpoint(model);
  // What a file of bf16 would hold; the types are the call's.
  const rounded = [...model.weights].map(([name, { shape, data }]) => [
    name,
    { shape, data: shape.length === 2 ? data.map((x) => roundTo('bf16', x)) : data },
  ]);
  bf16 = await writeCheckpoint({ config, weights: new Map(rounded as never) } as OracleModel);
  const folder = await mkdtemp(join(tmpdir(), 'triga-fallback-'));
  [empty, broken, bare] = ['empty', 'broken', 'bare'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await mkdir(empty);
  await mkdir(join(broken, 'build', 'Release'), { recursive: true });
  await writeFile(join(broken, 'build', 'Release', 'triga.node'), 'no library at all');
  await mkdir(join(bare, 'node_modules'), { recursive: true });
  await cp(join(root, 'dist'), join(bare, 'dist'), { recursive: true });
  await cp(join(root, 'package.json'), join(bare, 'package.json'));
  for (const name of await readdir(join(root, 'node_modules')))
    if (!name.startsWith('onnxruntime') && !name.startsWith('.'))
      await symlink(join(root, 'node_modules', name), join(bare, 'node_modules', name));
});
afterAll(async () => {
  for (const path of [directory, bf16, join(empty, '..')]) await rm(path, { recursive: true });
});

/** What a program of its own says, with the native binary looked for in `prebuild`. */
function ask(
  source: string,
  options: object,
  { prebuild, home = root }: { readonly prebuild?: string; readonly home?: string } = {},
): Said {
  const code = `
    import { loadTextModel } from ${JSON.stringify(new URL(`file://${join(home, 'dist/index.js')}`).href)};
    const say = (what) => console.log(JSON.stringify(what));
    try {
      const model = await loadTextModel(${JSON.stringify(source)}, ${JSON.stringify(options)});
      const prompt = ${JSON.stringify(prompt)};
      const { tokens } = await model.generate(prompt, { maxNewTokens: 30, eosTokenId: [] });
      const { data } = await model.logits(prompt);
      say({ tokens, logits: Array.from(data), info: model.info });
      await model.dispose();
    } catch ({ name, code, message }) {
      say({ error: { name, code, message } });
    }`;
  const env = { ...process.env, ...(prebuild === undefined ? {} : { TRIGA_PREBUILD: prebuild }) };
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    env,
  });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Said;
}

const furthest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((worst, x, i) => Math.max(worst, Math.abs(x - (b[i] as number))), 0);

describe('no native binary, and the call still works', () => {
  test.each([
    ['deleted', () => empty, /no native build|No native build/i],
    ['broken', () => broken, /triga\.node/],
  ])('%s: the same greedy text through onnxruntime, and why', async (_, prebuild, why) => {
    await using cpu = await loadTextModel(directory, { device: 'cpu' });
    const said = ask(directory, {}, { prebuild: prebuild() });
    expect(said.info.device).toBe('onnx');
    expect(said.info.fallbackReason).toMatch(/^cpu: the native addon does not load/);
    expect(said.info.fallbackReason).toMatch(why);
    expect(said.info.fallbackReason).toMatch(/npm run build/);
    expect(said.tokens).toEqual((await cpu.generate(prompt, { maxNewTokens: 30, eosTokenId: [] })).tokens);
    expect(furthest(said.logits, (await cpu.logits(prompt)).data)).toBeLessThan(1e-4);
  });

  test('weights of bf16: logits within 1e-3 of exact arithmetic on the same weights', async () => {
    await using reference = await loadTextModel(bf16, { device: 'reference', weights: 'bf16' });
    const said = ask(bf16, { weights: 'bf16' }, { prebuild: empty });
    expect(said.info).toMatchObject({ device: 'onnx', weights: 'bf16' });
    expect(furthest(said.logits, (await reference.logits(prompt)).data)).toBeLessThan(1e-3);
  });

  test('device cpu, named, is an error that says how to get the binary', () => {
    const { error } = ask(directory, { device: 'cpu' }, { prebuild: empty });
    expect(error).toMatchObject({ name: 'DeviceUnavailableError', code: 'DEVICE_UNAVAILABLE' });
    expect(error?.message).toMatch(/npm run build.*reinstall/);
  });

  test('without onnxruntime-node as well, the reference answers, and says both reasons', () => {
    const said = ask(directory, {}, { prebuild: empty, home: bare });
    expect(said.info.device).toBe('reference');
    expect(said.info.fallbackReason).toMatch(/cpu: .*; onnx: onnxruntime-node is not installed/);
  });
});

test('onnxruntime-node missing: device onnx is unavailable, and the message mends it', () => {
  const { error } = ask(directory, { device: 'onnx' }, { prebuild: root, home: bare });
  expect(error).toMatchObject({ name: 'DeviceUnavailableError', code: 'DEVICE_UNAVAILABLE' });
  expect(error?.message).toMatch(/not installed; "ONNXRUNTIME_NODE_INSTALL=skip npm install/);
});

test('with the native binary, auto takes it and gives no reason', () => {
  const { info } = ask(directory, {});
  expect(info.device).toBe('cpu');
  expect(info.fallbackReason).toBeUndefined();
});

test('no CUDA toolkit: auto passes over cuda, and cuda by name is a typed error', async () => {
  await using model = await loadTextModel(directory);
  expect(model.info.device).toBe('cpu');
  await expect(loadTextModel(directory, { device: 'cuda' })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
});
