import { setImmediate as turn } from 'node:timers/promises';
import { abortError } from '../../lib/errors.js';
import { burstLoop } from '../../lib/exec/burst_loop.js';
import type { Executable, RunRequest } from '../../lib/exec/executor.js';
import { KvPool } from '../../lib/generate/kv_pool.js';
import { defaultLimits, Scheduler, type StepLimits } from '../../lib/generate/scheduler.js';
import { kvBlockSize } from '../../lib/ops/kv_write.js';
import { intColumn, intColumns } from '../../lib/ops/sampling/row.js';

export const fakeVocabulary = 50;

/** What the fake says of the next token: a score for each id, from all ids so far. */
function fakeScores(context: readonly number[], returnIndex: number): number[] {
  let h = 0x9e3779b1 ^ returnIndex;
  for (const id of context) h = Math.imul(h ^ (id + 1), 0x85ebca6b) ^ (h >>> 13);
  return Array.from({ length: fakeVocabulary }, (_, id) => {
    let x = Math.imul(h ^ Math.imul(id + 1, 0xc2b2ae35), 0x27d4eb2f);
    x ^= x >>> 15;
    return -((x >>> 0) / 2 ** 32) * 8;
  });
}

/** The greedy continuation that {@link fakeScores} gives, of what an encoder read as well. */
export function fakeContinuation(
  prompt: readonly number[],
  count: number,
  returnIndex = 0,
  source: readonly number[] = [],
): number[] {
  const ids = [...source.map(encoded), ...prompt];
  const begin = ids.length;
  for (let i = 0; i < count; i++) {
    const scores = fakeScores(ids, returnIndex);
    ids.push(scores.indexOf(Math.max(...scores)));
  }
  return ids.slice(begin);
}

/** What the cache holds of a source's token: no token of a text. */
const encoded = (token: number): number => fakeVocabulary + token;

export interface FakeModel {
  readonly pool: KvPool;
  readonly scheduler: Scheduler;
  /** Rows of each step so far, by sequence. */
  readonly steps: number[][];
  /** Rows of each run of the encoder so far, by source, and after how many steps it came. */
  readonly encodings: { readonly rows: number[]; readonly after: number }[];
  /** What the fake found wrong. */
  readonly faults: string[];
}

export interface FakeOptions {
  readonly blocks: number;
  readonly limits?: StepLimits;
  /** Turns of the event loop that a step takes. */
  readonly turns?: () => number;
  /** Makes a run fail. */
  readonly fail?: (run: 'step' | 'encoding' | 'copy') => Error | undefined;
}

const ints = (request: RunRequest, name: string): Int32Array => request.inputs[name] as Int32Array;

/**
 * A model whose KV cache holds the tokens themselves: each step checks that what the block tables name is what was written, so
 * that a block given to two, or back too early, comes out as a wrong token or a fault.
 */
export function fakeModel({ blocks, limits = defaultLimits, turns = () => 0, fail }: FakeOptions): FakeModel {
  const pool = new KvPool(blocks);
  const cache = new Int32Array(blocks * kvBlockSize).fill(-1);
  const steps: number[][] = [];
  const encodings: FakeModel['encodings'][number][] = [];
  const faults: string[] = [];
  const lengths = (request: RunRequest): number[] => {
    const starts = ints(request, 'q_starts');
    return Array.from(starts.slice(1), (end, b) => end - (starts[b] ?? 0));
  };
  const write = (request: RunRequest, of: (token: number) => number): void => {
    ints(request, 'slots').forEach((slot, row) => {
      cache[slot] = of(ints(request, 'tokens')[row] as number);
    });
  };
  const wait = async (run: 'step' | 'encoding' | 'copy', signal: AbortSignal | undefined): Promise<void> => {
    if (pool.available < 0) faults.push(`${pool.available} blocks are available`);
    for (let n = turns(); n > 0; n--) {
      await turn();
      if (signal?.aborted) throw abortError();
    }
    const error = fail?.(run);
    if (error) throw error;
  };
  let ended = false;
  const sampler: Executable = {
    async run(request) {
      await wait('step', request.signal);
      steps.push(lengths(request));
      write(request, (token) => token);
      const sources = sourcesOf(request, cache, faults);
      const contexts = contextsOf(request, cache, faults);
      return choose(
        request,
        contexts.map((context, b) => [...(sources[b] ?? []), ...context]),
      );
    },
    async burst(request, burst) {
      ended = false;
      await burstLoop(
        (r) => sampler.run(r),
        request,
        burst,
        () => ended,
      );
    },
    endBurst() {
      ended = true;
    },
  };
  const encoder: Executable = {
    async run(request) {
      await wait('encoding', request.signal);
      encodings.push({ rows: lengths(request), after: steps.length });
      write(request, encoded);
      return {};
    },
    burst: () => Promise.reject(new Error('an encoder runs once')),
    endBurst() {},
  };
  const copier: Executable = {
    async run(request) {
      await wait('copy', request.signal);
      ints(request, 'from').forEach((from, i) => {
        cache.copyWithin(
          (ints(request, 'to')[i] as number) * kvBlockSize,
          from * kvBlockSize,
          (from + 1) * kvBlockSize,
        );
      });
      return {};
    },
    burst: () => Promise.reject(new Error('a copy is no burst')),
    endBurst() {},
  };
  return {
    pool,
    steps,
    encodings,
    faults,
    scheduler: new Scheduler({ pool, rope: undefined, sampler, encoder, copier, limits }),
  };
}

/** What the cache holds at the positions of each row of a table. */
function readTables(
  cache: Int32Array,
  lengths: Int32Array,
  tables: Int32Array,
  width: number | undefined,
): number[][] {
  return Array.from(lengths, (length, b) =>
    Array.from({ length }, (_, p) => {
      const block = tables[b * (width as number) + (p >> 4)] as number;
      return cache[block * kvBlockSize + (p % kvBlockSize)] as number;
    }),
  );
}

/** What each sequence's encoder left. */
function sourcesOf(request: RunRequest, cache: Int32Array, faults: string[]): number[][] {
  if (!request.inputs.source_lens) return [];
  const [lengths, tables] = [ints(request, 'source_lens'), ints(request, 'source_tables')];
  const sources = readTables(cache, lengths, tables, request.bindings.SB);
  for (const [b, source] of sources.entries())
    if (source.length === 0 || source.some((token) => token < fakeVocabulary))
      faults.push(`sequence ${b}: its source holds ${source.join()}`);
  return sources;
}

/** All tokens of each sequence, as the cache has them. */
function contextsOf(request: RunRequest, cache: Int32Array, faults: string[]): number[][] {
  const starts = ints(request, 'q_starts');
  const [lengths, tables] = [ints(request, 'context_lens'), ints(request, 'block_tables')];
  return readTables(cache, lengths, tables, request.bindings.MB).map((context, b) => {
    const length = context.length;
    const rows = ints(request, 'tokens').slice(starts[b], starts[b + 1]);
    rows.forEach((token, i) => {
      const at = length - rows.length + i;
      if (context[at] !== token) faults.push(`sequence ${b}: wrote ${token} at ${at}, read ${context[at]}`);
    });
    return context;
  });
}

function choose(request: RunRequest, contexts: readonly number[][]): Awaited<ReturnType<Executable['run']>> {
  const { R: rows = 0, K: k = 0 } = request.bindings;
  const starts = ints(request, 'q_starts');
  const ids = new Int32Array(rows);
  const logprobs = new Float32Array(rows);
  const topIds = new Int32Array(rows * k);
  const topLogprobs = new Float32Array(rows * k);
  ints(request, 'logit_rows').forEach((row, r) => {
    const b = starts.findIndex((start, i) => start <= row && row < (starts[i + 1] ?? 0));
    const returnIndex = ints(request, 'row_ints')[r * intColumns + intColumn.returnIndex] as number;
    const scores = fakeScores(contexts[b] ?? [], returnIndex);
    const order = scores.map((_, id) => id).sort((x, y) => (scores[y] as number) - (scores[x] as number));
    ids[r] = order[0] as number;
    logprobs[r] = scores[order[0] as number] as number;
    topIds.set(order.slice(0, k), r * k);
    topLogprobs.set(
      order.slice(0, k).map((id) => scores[id] as number),
      r * k,
    );
  });
  const i32 = (data: Int32Array, shape: number[]) => ({ dtype: 'i32' as const, shape, data });
  const f32 = (data: Float32Array, shape: number[]) => ({ dtype: 'f32' as const, shape, data });
  return {
    ids: i32(ids, [rows]),
    logprobs: f32(logprobs, [rows]),
    top_ids: i32(topIds, [rows, k]),
    top_logprobs: f32(topLogprobs, [rows, k]),
  };
}
