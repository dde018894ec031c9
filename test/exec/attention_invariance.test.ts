import { describe, expect, test } from 'vitest';
import { Graph } from '../../lib/ir/graph.js';
import type { Value } from '../../lib/ir/value.js';
import { pagedAttention } from '../../lib/ops/paged_attention.js';
import { ropeKvWrite } from '../../lib/ops/rope_kv_write.js';
import { ropeTable } from '../../lib/ops/rope_table.js';
import { availableIsas } from '../../lib/testing.js';
import { floats, named, shuffled } from '../random.js';
import { bits, compile, joined, mostRows, type Place, parting, rowCounts } from './bits.js';

interface Model {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly window: number;
  readonly softcap: number;
  readonly alibi: boolean;
}
const models: Readonly<Record<string, Model>> = {
  grouped: { heads: 6, kvHeads: 2, headDim: 20, window: 0, softcap: 0, alibi: false },
  'window and soft cap': { heads: 4, kvHeads: 1, headDim: 64, window: 70, softcap: 4, alibi: false },
  ALiBi: { heads: 3, kvHeads: 3, headDim: 34, window: 0, softcap: 0, alibi: true },
};
/** Blocks of the cache, and of each of the two sequences in it. */
const blocks = 64;
const maxBlocks = 32;

/** From rows of q, k and v [T, (H + 2 Hkv)·D] to attention over all that the cache has. */
function attentionGraph({ heads, kvHeads, headDim, window, softcap, alibi }: Model): Graph {
  const g = new Graph();
  const half = headDim / 2;
  const inv_freq = g.constant(
    'f32',
    [1, half],
    Array.from({ length: half }, (_, i) => Math.fround(10_000 ** (-i / half))),
  );
  const state = (name: string): Value => g.state(name, 'f32', [blocks, 16, kvHeads, headDim]);
  const { q, k_cache, v_cache } = ropeKvWrite(
    {
      qkv: g.input('qkv', 'f32', ['T', (heads + 2 * kvHeads) * headDim]),
      k_cache: state('k_cache'),
      v_cache: state('v_cache'),
      slots: g.input('slots', 'i32', ['T']),
      ...ropeTable({ positions: g.input('positions', 'i32', ['T']), inv_freq }, { scale: 1 }),
      q_norm: g.param('q_norm', 'f32', [headDim]),
      k_norm: g.param('k_norm', 'f32', [headDim]),
    },
    { heads, interleaved: false, eps: 1e-6 },
  );
  const y = pagedAttention(
    {
      q,
      k_cache,
      v_cache,
      q_starts: g.input('q_starts', 'i32', ['B1']),
      context_lens: g.input('context_lens', 'i32', ['B']),
      block_tables: g.input('block_tables', 'i32', ['B', 'MB']),
      ...(alibi
        ? {
            slopes: g.constant(
              'f32',
              [heads],
              Array.from({ length: heads }, (_, i) => 2 ** -(i + 1)),
            ),
          }
        : {}),
    },
    { scale: 4 / Math.sqrt(headDim), causal: true, window, softcap },
  );
  g.output('q', q);
  g.output('y', y);
  return g;
}

/** A part of a sequence that one step takes: rows [begin, end) of its prompt. */
interface Part {
  readonly sequence: number;
  readonly begin: number;
  readonly end: number;
}

/** The prompts of a model and where its cache keeps them, in any order. */
function promptsOf(name: string, { heads, kvHeads, headDim }: Model) {
  const width = (heads + 2 * kvHeads) * headDim;
  const rows = [0, 1].map((s) => Float32Array.from(floats(named(`${name} ${s}`), mostRows * width, -2, 2)));
  const order = shuffled(named(name), blocks);
  const table = (sequence: number): number[] => order.slice(sequence * maxBlocks, (sequence + 1) * maxBlocks);
  const slot = (sequence: number, position: number): number =>
    (table(sequence)[Math.floor(position / 16)] as number) * 16 + (position % 16);
  return { width, rows, table, slot };
}
const prompts = new Map(Object.entries(models).map(([name, model]) => [name, promptsOf(name, model)]));

/** The inputs of a step, and where each part's rows begin. */
function stepInputs({ width, rows, table, slot }: ReturnType<typeof promptsOf>, parts: readonly Part[]) {
  const starts = [0, ...parts].map((_, i) => parts.slice(0, i).reduce((n, p) => n + p.end - p.begin, 0));
  const places = parts.flatMap(({ sequence, begin, end }) =>
    Array.from({ length: end - begin }, (_, i) => ({ sequence, position: begin + i })),
  );
  const qkv = new Float32Array(places.length * width);
  places.forEach(({ sequence, position }, i) => {
    const row = (rows[sequence] as Float32Array).subarray(position * width, (position + 1) * width);
    qkv.set(row, i * width);
  });
  const inputs = {
    qkv,
    slots: Int32Array.from(places, (p) => slot(p.sequence, p.position)),
    positions: Int32Array.from(places, (p) => p.position),
    q_starts: Int32Array.from(starts),
    context_lens: Int32Array.from(parts, (p) => p.end),
    block_tables: Int32Array.from(parts.flatMap((p) => table(p.sequence))),
  };
  return {
    starts,
    inputs,
    bindings: { T: places.length, B: parts.length, B1: parts.length + 1, MB: maxBlocks },
  };
}

/** How a prompt comes: `length` rows in steps of `chunk`, beside another sequence's work or not. */
interface Way extends Place {
  readonly length: number;
  readonly chunk: number;
  readonly beside: boolean;
}

/** Bits of q and of attention for each row of a prompt. */
async function prefill(
  name: string,
  { length, chunk, beside, ...place }: Way,
): Promise<{ q: Int32Array; y: Int32Array }> {
  const { heads, headDim } = models[name] as Model;
  const known = prompts.get(name) as ReturnType<typeof promptsOf>;
  const { executable, session } = await compile(attentionGraph(models[name] as Model), place);
  const found: { q: Int32Array[]; y: Int32Array[] } = { q: [], y: [] };
  for (let begin = 0; begin < length; begin += chunk) {
    const own = { sequence: 0, begin, end: Math.min(begin + chunk, length) };
    const at = Math.min(begin * 2, 400);
    const other = { sequence: 1, begin: at, end: at + 1 + (begin % 7) };
    const { starts, ...request } = stepInputs(known, beside ? [other, own] : [own]);
    const { q, y } = await executable.run(request);
    const first = (starts.at(-2) as number) * heads * headDim;
    found.q.push(bits(q).subarray(first));
    found.y.push(bits(y).subarray(first));
  }
  await session.dispose();
  return { q: joined(found.q), y: joined(found.y) };
}

describe.each(Object.keys(models))('attention, %s', (name) => {
  const { heads, headDim } = models[name] as Model;
  const size = heads * headDim;

  test.each(availableIsas())('any chunks, any company, any threads on %s', async (isa) => {
    const length = 200;
    const whole = await prefill(name, { isa, threads: 1, length, chunk: length, beside: false });
    expect([whole.q.length, whole.y.length]).toEqual([length * size, length * size]);
    for (const chunk of [1, 5, 16, 33, 64, 100, length]) {
      for (const threads of [1, 2, 3]) {
        const got = await prefill(name, { isa, threads, length, chunk, beside: threads > 1 });
        const how = `chunks of ${chunk}, ${threads} threads`;
        expect(parting(got.q, whole.q, size), how).toBeUndefined();
        expect(parting(got.y, whole.y, size), how).toBeUndefined();
      }
    }
  });

  test.each(availableIsas())('prompts of any length begin alike on %s', async (isa) => {
    const way = { isa, threads: 2 };
    const whole = await prefill(name, { ...way, length: mostRows, chunk: mostRows, beside: false });
    for (const length of rowCounts) {
      const got = await prefill(name, { ...way, length, chunk: length, beside: true });
      expect(parting(got.q, whole.q.subarray(0, length * size), size), `${length} rows`).toBeUndefined();
      expect(parting(got.y, whole.y.subarray(0, length * size), size), `${length} rows`).toBeUndefined();
    }
  });
});
