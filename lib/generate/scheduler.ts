import { abortError, OutOfMemoryError, throwIfAborted } from '../errors.js';
import type { Executable, RunRequest } from '../exec/executor.js';
import type { RopeFrequencies } from '../nn/rope_frequencies.js';
import { kvBlockSize } from '../ops/kv_write.js';
import { packRows } from '../ops/sampling/pack_rows.js';
import type { SampleRow } from '../ops/sampling/row.js';
import type { Tensor } from '../tensor.js';
import type { BlockCopy, Generation, RowChoice } from './generation.js';
import type { KvPool } from './kv_pool.js';
import type { Sequence } from './sequence.js';
import { lastRows, packStep, type Slice } from './step.js';

/** How many rows the scheduler puts into one step. */
export interface StepLimits {
  readonly maxRows: number;
  /** Rows of prompts beside sequences that decode, so that those don't wait long. */
  readonly prefillBesideDecode: number;
}

export const defaultLimits: StepLimits = { maxRows: 512, prefillBesideDecode: 128 };

export interface SchedulerModel {
  readonly pool: KvPool;
  readonly rope: RopeFrequencies | undefined;
  /** The graph that ends in the sampler. */
  readonly sampler: Executable;
  /** Copies blocks of every layer's cache. */
  readonly copier: Executable;
  readonly limits: StepLimits;
}

interface Ticket {
  readonly generation: Generation;
  readonly signal: AbortSignal;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
  /** Blocks promised to it and not taken; undefined: it waits. */
  outstanding?: number;
  settled: boolean;
}

/**
 * Runs the requests of one model together: each step computes the next rows of all running sequences, prompts in chunks beside the
 * sequences that decode. A request starts when the pool can promise it every block that it may need, in the order of the calls, so
 * that nothing that runs ever lacks memory.
 */
export class Scheduler {
  readonly #model: SchedulerModel;
  #waiting: Ticket[] = [];
  #active: Ticket[] = [];
  /** Work that needs the model for itself between two steps. */
  readonly #exclusive: (() => Promise<void>)[] = [];
  #loop: Promise<void> | undefined;
  #running: { readonly tickets: ReadonlySet<Ticket>; readonly abort: AbortController } | undefined;

  constructor(model: SchedulerModel) {
    this.#model = model;
  }

  /** Runs a request to its end. Rejects with AbortError, with OutOfMemoryError if the pool can never hold it, or as the run fails. */
  run(generation: Generation, signal: AbortSignal): Promise<void> {
    const { pool } = this.#model;
    if (generation.maxBlocks > pool.blocks) {
      const [need, have] = [generation.maxBlocks, pool.blocks].map((n) => n * kvBlockSize);
      return Promise.reject(
        new OutOfMemoryError(
          `generate: the request may need ${need} positions of KV cache, and the pool holds ${have}; shorten the prompt, lower maxNewTokens or the number of sequences`,
        ),
      );
    }
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(abortError(signal.reason));
        return;
      }
      const ticket: Ticket = { generation, signal, resolve, reject, settled: false };
      signal.addEventListener(
        'abort',
        () => {
          this.#abort(ticket);
        },
        { once: true },
      );
      this.#waiting.push(ticket);
      this.#wake();
    });
  }

  /** Runs work that uses the model's executables, between two steps. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#exclusive.push(() => work().then(resolve, reject));
      this.#wake();
    });
  }

  /** Ends when nothing is under way any more. */
  async idle(): Promise<void> {
    await this.#loop;
  }

  #wake(): void {
    this.#loop ??= this.#work().finally(() => {
      this.#loop = undefined;
      if (this.#waiting.length + this.#exclusive.length > 0) this.#wake();
    });
  }

  async #work(): Promise<void> {
    // Calls made in the same turn of the event loop share the first step.
    await Promise.resolve();
    while (this.#waiting.length + this.#active.length + this.#exclusive.length > 0) {
      for (const work of this.#exclusive.splice(0)) await work();
      this.#admit();
      await this.#step();
    }
  }

  /** Starts waiting requests, the oldest first, while the pool can promise what they may need. */
  #admit(): void {
    const { pool } = this.#model;
    for (
      let next = this.#waiting[0];
      next && next.generation.maxBlocks <= pool.available;
      next = this.#waiting[0]
    ) {
      this.#waiting.shift();
      next.outstanding = next.generation.maxBlocks;
      pool.reserve(next.outstanding);
      this.#track(next, () => {
        next.generation.start(pool);
      });
      this.#active.push(next);
    }
  }

  /** Runs `work`, and books the blocks that the ticket's sequences took meanwhile against its promise. */
  #track(ticket: Ticket, work: () => void): void {
    const { pool } = this.#model;
    const before = pool.taken;
    work();
    ticket.outstanding = (ticket.outstanding ?? 0) - (pool.taken - before);
  }

  async #step(): Promise<void> {
    const slices = this.#compose();
    if (slices.length === 0) return;
    const abort = new AbortController();
    const tickets = new Set(slices.map((s) => s.ticket));
    this.#running = { tickets, abort };
    try {
      const choices = await this.#compute(slices, abort.signal);
      for (const ticket of tickets) await this.#advance(ticket, choices, abort.signal);
    } catch (error) {
      for (const ticket of tickets) this.#settle(ticket, error);
    } finally {
      this.#running = undefined;
      for (const ticket of tickets) if (ticket.settled) this.#remove(ticket);
    }
  }

  /** The rows of the next step: first those of sequences that decode, then chunks of prompts, in order of arrival. */
  #compose(): (Slice & { readonly ticket: Ticket })[] {
    const { limits } = this.#model;
    const all = this.#active.flatMap((ticket) =>
      ticket.generation.sequences.map((sequence) => ({ ticket, sequence })),
    );
    const decoding = all.filter(({ sequence }) => sequence.pending === 1);
    const slices = this.#take(decoding.slice(0, limits.maxRows).map((s) => ({ ...s, rows: 1 })));
    let room = Math.min(
      limits.maxRows - slices.length,
      slices.length > 0 ? limits.prefillBesideDecode : limits.maxRows,
    );
    for (const { ticket, sequence } of all) {
      if (sequence.pending === 1 || room === 0) continue;
      const rows = Math.min(sequence.pending, room);
      slices.push(...this.#take([{ ticket, sequence, rows }]));
      room -= rows;
    }
    return slices;
  }

  #take<S extends Slice & { readonly ticket: Ticket }>(slices: S[]): S[] {
    for (const { ticket, sequence, rows } of slices)
      this.#track(ticket, () => {
        sequence.grow(rows);
      });
    return slices;
  }

  /** Computes the rows, and chooses a token for each sequence whose last row is among them. */
  async #compute(
    slices: readonly (Slice & { readonly ticket: Ticket })[],
    signal: AbortSignal,
  ): Promise<Map<Sequence, RowChoice>> {
    const last = lastRows(slices);
    const ends = slices
      .map((s, i) => ({ ...s, row: last[i] as number }))
      .filter((s) => s.rows === s.sequence.pending);
    const candidates = Math.max(0, ...ends.map((s) => s.ticket.generation.candidates));
    const request = packStep(
      slices,
      ends.map((s) => s.row),
      this.#model.rope,
    );
    const rows = ends.map((s) => s.ticket.generation.row(s.sequence));
    const result = await this.#model.sampler.run(withSampling(request, rows, candidates, signal));
    for (const { sequence, rows: done } of slices) sequence.advance(done);
    return new Map(ends.map((s, i) => [s.sequence, choiceOf(result, i, candidates)]));
  }

  async #advance(
    ticket: Ticket,
    choices: ReadonlyMap<Sequence, RowChoice>,
    signal: AbortSignal,
  ): Promise<void> {
    const { generation } = ticket;
    if (ticket.settled || !generation.sequences.some((s) => choices.has(s))) return;
    try {
      const taken = this.#model.pool.taken;
      const copies = await generation.advance(choices);
      ticket.outstanding = (ticket.outstanding ?? 0) - (this.#model.pool.taken - taken);
      if (copies.length > 0) await this.#copy(copies, signal);
      if (generation.sequences.length === 0) this.#settle(ticket);
    } catch (error) {
      this.#settle(ticket, error);
    }
  }

  async #copy(copies: readonly BlockCopy[], signal: AbortSignal): Promise<void> {
    const inputs = { from: Int32Array.from(copies, (c) => c.from), to: Int32Array.from(copies, (c) => c.to) };
    await this.#model.copier.run({ inputs, bindings: { P: copies.length }, signal });
  }

  /** Rejects at once. The blocks come back when the step under way has ended, which is cut short if it serves nobody else. */
  #abort(ticket: Ticket): void {
    if (ticket.settled) return;
    this.#settle(ticket, abortError(ticket.signal.reason));
    const running = this.#running;
    if (!running?.tickets.has(ticket)) this.#remove(ticket);
    else if ([...running.tickets].every((t) => t.settled)) running.abort.abort();
  }

  #settle(ticket: Ticket, error?: unknown): void {
    if (ticket.settled) return;
    ticket.settled = true;
    if (error === undefined) ticket.resolve();
    else ticket.reject(error);
  }

  #remove(ticket: Ticket): void {
    ticket.generation.release();
    if (ticket.outstanding !== undefined) this.#model.pool.unreserve(ticket.outstanding);
    this.#waiting = this.#waiting.filter((t) => t !== ticket);
    this.#active = this.#active.filter((t) => t !== ticket);
  }
}

function withSampling(
  request: RunRequest,
  rows: readonly SampleRow[],
  candidates: number,
  signal: AbortSignal,
): RunRequest {
  throwIfAborted(signal);
  const { rowFloats, rowInts, lists } = packRows(rows);
  return {
    inputs: { ...request.inputs, row_floats: rowFloats, row_ints: rowInts, lists },
    bindings: { ...request.bindings, K: candidates, L: lists.length },
    signal,
  };
}

function choiceOf(result: Readonly<Record<string, Tensor>>, row: number, candidates: number): RowChoice {
  const column = (name: string): Tensor['data'] => (result[name] as Tensor).data;
  const top = (name: string) => column(name).subarray(row * candidates, (row + 1) * candidates);
  return {
    id: column('ids')[row] as number,
    logprob: column('logprobs')[row] as number,
    topIds: top('top_ids') as Int32Array,
    topLogprobs: top('top_logprobs') as Float32Array,
  };
}
