import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { openCheckpoint } from '../../lib/weights/checkpoint.js';
import { type HubOptions, parseHubSource, resolveHubModel } from '../../lib/weights/hub.js';
import type { DownloadProgress } from '../../lib/weights/hub_download.js';
import { isHubSource } from '../../lib/weights/is_hub_source.js';
import { f32File, failureOf, temporaryDirectory } from './fixtures.js';

const commit = '0123456789abcdef0123456789abcdef01234567';
const shard1 = 'model-00001-of-00002.safetensors';
const shard2 = 'model-00002-of-00002.safetensors';
const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

const singleFile: Record<string, Uint8Array> = {
  'config.json': text({ model_type: 'llama' }),
  'tokenizer.json': text({ version: '1.0' }),
  'model.safetensors': f32File({ a: [300, 1000] }),
  'pytorch_model.bin': text('pickle'),
  'README.md': text('readme'),
};
const sharded: Record<string, Uint8Array> = {
  'config.json': text({}),
  'model.safetensors.index.json': text({ weight_map: { a: shard1, b: shard2 } }),
  [shard1]: f32File({ a: [2] }),
  [shard2]: f32File({ b: [3] }),
  'consolidated.safetensors': f32File({ a: [2], b: [3] }),
};

// No test may depend on, or reach, what the machine's user has set.
beforeEach(() => {
  for (const name of [
    'HF_ENDPOINT',
    'HF_HOME',
    'HF_HUB_CACHE',
    'HUGGINGFACE_HUB_CACHE',
    'HF_HUB_OFFLINE',
    'HF_TOKEN',
  ]) {
    vi.stubEnv(name, '');
  }
  return () => vi.unstubAllEnvs();
});

/** A cache as Hugging Face's libraries leave it. */
async function cacheWith(files: Record<string, Uint8Array>, at?: string) {
  const cacheDir = at ?? (await temporaryDirectory());
  const storage = join(cacheDir, 'models--org--name');
  const snapshot = join(storage, 'snapshots', commit);
  await mkdir(snapshot, { recursive: true });
  await mkdir(join(storage, 'refs'), { recursive: true });
  await writeFile(join(storage, 'refs', 'main'), commit);
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(snapshot, name), bytes);
  return { cacheDir, snapshot };
}

type Handler = (path: string, request: IncomingMessage, response: ServerResponse) => boolean;

/** What the Hub answers: the commit of a branch, the list of files, or a file's first byte or all of it. */
function answer(
  files: Record<string, Uint8Array>,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const json = (status: number, body: unknown) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  const file = /^\/org\/name\/resolve\/[0-9a-f]{40}\/(.+)$/.exec(path)?.[1];
  const bytes = file === undefined ? undefined : files[file];
  if (path === '/api/models/org/name/revision/main') {
    json(200, { id: 'org/name', sha: commit });
  } else if (path === `/api/models/org/name/tree/${commit}`) {
    json(200, tree(files));
  } else if (bytes === undefined) {
    json(404, { error: 'Repository not found' });
  } else {
    const isProbe = request.headers.range === 'bytes=0-0';
    response.writeHead(isProbe ? 206 : 200, { etag: '"x"', 'content-range': `bytes 0-0/${bytes.length}` });
    response.end(isProbe ? bytes.subarray(0, 1) : bytes);
  }
}

/** A Hub on the loopback interface with one repository, org/name. `handler` may answer first. */
async function hubWith(files: Record<string, Uint8Array>, handler: Handler = () => false) {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '', 'http://hub').pathname;
    requests.push(path);
    if (!handler(path, request, response)) answer(files, path, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return { hubUrl: `http://127.0.0.1:${port}`, requests };
}

/** The Hub's listing: weights lie in large file storage, named by their SHA-256. */
const tree = (files: Record<string, Uint8Array>) =>
  Object.entries(files).map(([path, bytes]) => ({
    type: 'file',
    path,
    size: bytes.length,
    oid: createHash('sha1').update(bytes).digest('hex'),
    ...(path.endsWith('.safetensors')
      ? {
          lfs: {
            oid: createHash('sha256').update(bytes).digest('hex'),
            size: bytes.length,
            pointerSize: 130,
          },
        }
      : {}),
  }));

describe('parseHubSource', () => {
  test('reads repository and revision', () => {
    expect(parseHubSource('hf:org/name')).toEqual({ repo: 'org/name', revision: 'main' });
    expect(parseHubSource('hf:Qwen/Qwen2.5-0.5B@v1.0')).toEqual({
      repo: 'Qwen/Qwen2.5-0.5B',
      revision: 'v1.0',
    });
    expect(parseHubSource('hf:a/b@refs/pr/1').revision).toBe('refs/pr/1');
    expect([isHubSource('hf:a/b'), isHubSource('a/b')]).toEqual([true, false]);
  });

  test.each([
    'hf:',
    'hf:name',
    'hf:a/b/c',
    'hf:../b',
    'hf:a/..',
    'hf:a/b@',
    'hf:a/b@../../x',
    'hf:a/b@/x',
    'hf:a/b@x//y',
    'hf:a/b@.',
    'hf:a--b/c',
    'hf:a/b c',
    'hf:a/b\n',
    `hf:a/${'x'.repeat(97)}`,
  ])('%j is an InvalidArgumentError', async (source) => {
    expect(await failureOf(() => parseHubSource(source))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: /'hf:org\/name'/,
    });
  });
});

describe('the cache', () => {
  const offline = true;

  test('answers for a branch and for a commit', async () => {
    const { cacheDir, snapshot } = await cacheWith(singleFile);
    expect(await resolveHubModel('hf:org/name', { cacheDir, offline })).toBe(snapshot);
    expect(await resolveHubModel(`hf:org/name@${commit}`, { cacheDir, offline })).toBe(snapshot);
    await expect(resolveHubModel('hf:org/name@dev', { cacheDir, offline })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: /without this revision.*HF_HUB_OFFLINE/,
    });
  });

  test('answers for shards if all are there', async () => {
    const { cacheDir, snapshot } = await cacheWith(sharded);
    expect(await resolveHubModel('hf:org/name', { cacheDir, offline })).toBe(snapshot);
    await rm(join(snapshot, shard2));
    await expect(resolveHubModel('hf:org/name', { cacheDir, offline })).rejects.toThrow(
      /without model-00002-of-00002/,
    );
  });

  test.each([
    ['HF_HUB_CACHE', ''],
    ['HF_HOME', 'hub'],
    ['XDG_CACHE_HOME', 'huggingface/hub'],
  ])('lies where %s says', async (name, below) => {
    const home = await temporaryDirectory();
    const { snapshot } = await cacheWith(singleFile, join(home, below));
    vi.stubEnv(name, home);
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    expect(await resolveHubModel('hf:org/name')).toBe(snapshot);
  });

  test('does not follow a reference that leads out of it', async () => {
    const { cacheDir, snapshot } = await cacheWith(singleFile);
    await writeFile(join(snapshot, '..', '..', 'refs', 'main'), `../snapshots/${commit}`);
    await expect(resolveHubModel('hf:org/name', { cacheDir, offline })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

describe('downloading', () => {
  const resolve = async (hub: { hubUrl: string }, options: HubOptions = {}) => {
    const cacheDir = options.cacheDir ?? (await temporaryDirectory());
    return { cacheDir, directory: await resolveHubModel('hf:org/name', { ...hub, cacheDir, ...options }) };
  };
  const failure = async (hub: { hubUrl: string }, options: HubOptions = {}) =>
    failureOf(() => resolve(hub, options));

  test('fetches what a model needs and no more, into the layout that Hugging Face uses', async () => {
    const hub = await hubWith(singleFile);
    const seen: DownloadProgress[] = [];
    const { cacheDir, directory } = await resolve(hub, { onProgress: (progress) => seen.push(progress) });
    expect((await readdir(directory)).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
    expect((await openCheckpoint(directory)).bytes).toBe(1_200_000);
    expect(await readFile(join(cacheDir, 'models--org--name', 'refs', 'main'), 'utf8')).toBe(commit);
    expect(await readlink(join(directory, 'config.json'))).toMatch(/^\.\.\/\.\.\/blobs\/[0-9a-f]{40}$/);
    const last = seen.at(-1);
    expect(last?.loadedBytes).toBe(last?.totalBytes);
    expect(seen.every((p, i) => p.loadedBytes >= (seen[i - 1]?.loadedBytes ?? 0))).toBe(true);
    // Now the cache answers alone.
    const before = hub.requests.length;
    expect((await resolve(hub, { cacheDir })).directory).toBe(directory);
    expect(hub.requests.length).toBe(before);
  });

  test('fetches the shards of the index, and only what the cache lacks', async () => {
    const hub = await hubWith(sharded);
    const { cacheDir, directory } = await resolve(hub);
    expect((await openCheckpoint(directory)).bytes).toBe(20);
    expect(await readdir(directory)).not.toContain('consolidated.safetensors');
    await rm(join(directory, shard2));
    hub.requests.length = 0;
    await resolve(hub, { cacheDir });
    expect(hub.requests.filter((path) => path.includes('resolve'))).toEqual([]); // its blob was still there
    expect((await openCheckpoint(directory)).bytes).toBe(20);
  });

  test('sends HF_TOKEN', async () => {
    vi.stubEnv('HF_TOKEN', 'hf_secret');
    const tokens = new Set<string | undefined>();
    const hub = await hubWith(singleFile, (_, request) => {
      tokens.add(request.headers.authorization);
      return false;
    });
    await resolve(hub);
    expect([...tokens]).toEqual(['Bearer hf_secret']);
  });

  test.each<[string, Record<string, Uint8Array>, string, RegExp]>([
    [
      'pickled weights alone',
      { 'config.json': text({}), 'pytorch_model.bin': text('x') },
      'UNSUPPORTED',
      /hf:org\/name.*convert/,
    ],
    ['no config.json', { 'model.safetensors': f32File({}) }, 'MODEL_FORMAT', /expected config.json/],
    [
      'an index with a shard that is not there',
      { 'config.json': text({}), 'model.safetensors.index.json': text({ weight_map: { a: shard1 } }) },
      'MODEL_FORMAT',
      /model-00001/,
    ],
    [
      'an index that leads out of the directory',
      {
        'config.json': text({}),
        'model.safetensors.index.json': text({ weight_map: { a: '../x.safetensors' } }),
      },
      'MODEL_FORMAT',
      /beside the index/,
    ],
  ])('%s', async (_, files, code, message) => {
    expect(await failure(await hubWith(files))).toMatchObject({ code, message });
  });

  test.each([
    [401, /refused access \(401\).*HF_TOKEN/],
    [404, /no such repository.*check the name/],
    [500, /answered 500/],
  ])('status %d says what to do', async (status, message) => {
    const hub = await hubWith(singleFile, (_, _request, response) =>
      Boolean(response.writeHead(status).end('x')),
    );
    expect(await failure(hub)).toMatchObject({ code: 'INVALID_ARGUMENT', message });
  });

  test('an unreachable Hub says what to do', async () => {
    const error = await failure({ hubUrl: 'http://127.0.0.1:1' });
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: /downloading failed.*check the network/,
    });
  });

  test.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ['changed', (bytes) => bytes.map((b, i) => (i === bytes.length - 1 ? b ^ 1 : b))],
    ['too short', (bytes) => bytes.subarray(1)],
  ])('a file that arrives %s is a ModelFormatError and leaves no blob', async (_, spoil) => {
    const weights = singleFile['model.safetensors'] as Uint8Array;
    const hub = await hubWith(singleFile, (path, request, response) => {
      if (!path.endsWith('model.safetensors') || request.headers.range !== undefined) return false;
      response.writeHead(200).end(spoil(weights));
      return true;
    });
    const cacheDir = await temporaryDirectory();
    expect(await failure(hub, { cacheDir })).toMatchObject({
      code: 'MODEL_FORMAT',
      message: /model.safetensors.*damaged/,
    });
    expect(await readdir(join(cacheDir, 'models--org--name', 'blobs'))).toHaveLength(2);
    await expect(resolveHubModel('hf:org/name', { cacheDir, offline: true })).rejects.toThrow();
  });

  test.each(['abort', 'reset'])(
    'an %s in the middle of a file leaves a cache that the next call completes',
    async (kind) => {
      const controller = new AbortController();
      let isBroken = true;
      const hub = await hubWith(singleFile, (path, request, response) => {
        if (!isBroken || !path.endsWith('model.safetensors') || request.headers.range !== undefined)
          return false;
        response.writeHead(200, { 'content-length': '1200100' }).write(new Uint8Array(1000));
        setTimeout(() => (kind === 'abort' ? controller.abort() : response.destroy()), 50);
        return true;
      });
      const cacheDir = await temporaryDirectory();
      const error = await failure(hub, { cacheDir, signal: controller.signal });
      expect(error).toMatchObject(
        kind === 'abort' ? { name: 'AbortError' } : { code: 'INVALID_ARGUMENT', message: /network/ },
      );
      expect(
        (await readdir(join(cacheDir, 'models--org--name', 'blobs'))).filter((name) => name.includes('.')),
      ).toEqual([]);
      isBroken = false;
      expect((await openCheckpoint((await resolve(hub, { cacheDir })).directory)).bytes).toBe(1_200_000);
    },
  );

  test('an abort ends the wait for a Hub that does not answer', async () => {
    const controller = new AbortController();
    const hub = await hubWith(singleFile, () => {
      setTimeout(() => controller.abort(), 20);
      return true;
    });
    const start = performance.now();
    expect(await failure(hub, { signal: controller.signal })).toMatchObject({ name: 'AbortError' });
    expect(performance.now() - start).toBeLessThan(5000);
  });

  test('a call aborted before it begins asks for nothing', async () => {
    const hub = await hubWith(singleFile);
    expect(await failure(hub, { signal: AbortSignal.abort() })).toMatchObject({ name: 'AbortError' });
    expect(hub.requests).toEqual([]);
  });
});
