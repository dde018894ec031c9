import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { GenerateOptions, TextModel } from '../../lib/index.js';
import { loadWith } from '../../lib/testing.js';
import { generator } from '../random.js';
import { smallContext, smallModel } from './checkpoints.js';
import { heldBytes } from './garbage.js';

/** Aborts that count: of requests that were still under way. */
const aborts = 1000;
/** All blocks of the KV pool are what one sequence of the full context fills: some requests wait, and are aborted waiting. */
const blocks = smallContext / 16;
const MiB = 2 ** 20;

const random = generator(20);
const below = (n: number): number => Math.floor(random() * n);
const ids = (length: number): number[] => Array.from({ length }, () => below(256));

type Request = GenerateOptions & { readonly prompt: number[] };

/** Requests that nobody aborts. */
const survivors: Request[] = [
  { prompt: ids(5), maxNewTokens: 40, logprobs: 3 },
  { prompt: ids(40), maxNewTokens: 30, logprobs: 3, temperature: 0.9, topP: 0.9, seed: 3 },
  {
    prompt: ids(33),
    maxNewTokens: 20,
    logprobs: 2,
    repetitionPenalty: 1.2,
    numReturnSequences: 2,
    seed: 4,
    topK: 20,
  },
];

let model: TextModel;
let alone: unknown[];
const run = (on: TextModel, { prompt, ...options }: Request) =>
  on.generate(prompt, { eosTokenId: [], ...options });
const open = async (): Promise<TextModel> =>
  loadWith(await smallModel(), { device: 'cpu' }, { kvBlocks: blocks });

beforeAll(async () => {
  alone = [];
  for (const request of survivors) {
    await using fresh = await open();
    alone.push((await run(fresh, request)).sequences);
  }
  model = await open();
});
afterAll(() => model.dispose());

/** A call that an abort is meant for, of one of several kinds. */
function doomed(signal: AbortSignal): PromiseLike<unknown> {
  const long = { maxNewTokens: 40 + below(60), eosTokenId: [], signal };
  switch (below(6)) {
    case 0:
      return model.generate('Once upon a time', long);
    case 1:
      return model.generate(ids(1 + below(90)), { ...long, temperature: 1, seed: 1, numReturnSequences: 2 });
    case 2:
      return model.generate(ids(1 + below(40)), { ...long, maxNewTokens: 30, numBeams: 3 });
    case 3:
      return model.generate('The end', { ...long, stop: 'zebra' });
    case 4:
      return model.logits(ids(200 + below(300)), { signal });
    default:
      return brokenOff(below(12));
  }
}

/** A stream that is left after some tokens, which aborts its request. */
async function brokenOff(after: number): Promise<unknown> {
  const request = model.generate(ids(1 + below(50)), { maxNewTokens: 100, eosTokenId: [] });
  let tokens = 0;
  for await (const piece of request) {
    tokens += piece.tokens.length;
    if (tokens > after) break;
  }
  return await request;
}

/** Sooner or later: in the same turn, some turns of the event loop on, or some milliseconds on. */
async function moment(): Promise<void> {
  const kind = below(4);
  if (kind === 1) for (let n = below(20); n > 0; n--) await turn();
  if (kind === 2) await wait(below(12));
  if (kind === 3) await wait(below(60));
}

/** Whether the abort came in time. */
async function abortOne(): Promise<boolean> {
  await moment();
  const abort = new AbortController();
  const outcome = Promise.resolve(doomed(abort.signal)).then(
    () => undefined,
    (error: unknown) => error,
  );
  await moment();
  abort.abort();
  const error = await outcome;
  if (error !== undefined) expect(error).toMatchObject({ name: 'AbortError' });
  return error !== undefined;
}

/** Aborts so many requests, some at a time, beside the survivors. */
async function abortMany(count: number): Promise<void> {
  for (let done = 0; done < count; ) {
    const [outcomes, results] = await Promise.all([
      Promise.all(Array.from({ length: 16 }, abortOne)),
      Promise.all(survivors.map((request) => run(model, request))),
    ]);
    expect(results.map(({ sequences }) => sequences)).toEqual(alone);
    done += outcomes.filter((aborted) => aborted).length;
  }
}

test('1,000 aborts at random moments: no crash, no other request changed by a bit, no block of KV cache and no memory lost', async () => {
  await abortMany(aborts / 5);
  const early = { held: await heldBytes(), rss: process.memoryUsage().rss };
  await abortMany((4 * aborts) / 5);
  // A text as long as the context needs every block that there is.
  expect((await model.logits(ids(smallContext))).shape).toEqual([smallContext, 260]);
  const whole = model.generate(ids(smallContext - 1), { maxNewTokens: 1, eosTokenId: [] });
  expect((await whole).tokens).toHaveLength(1);
  expect((await heldBytes()) - early.held).toBeLessThan(1 * MiB);
  expect(process.memoryUsage().rss - early.rss).toBeLessThan(16 * MiB);
});
