import { abortError, OutOfMemoryError } from '../errors.js';
import type { Executable } from '../exec/executor.js';
import type { RopeFrequencies } from '../nn/rope_frequencies.js';
import { kvBlockSize } from '../ops/kv_write.js';
import type { Tensor } from '../tensor.js';
import type { BlockCopy, Generation, RowChoice } from './generation.js';
import type { KvPool } from './kv_pool.js';
import { choiceOf, textBurst, withSampling } from './sampling_step.js';
import type { Sequence } from './sequence.js';
import { lastRows, packStep, type Slice } from './step.js';

/** How many rows the scheduler puts into one step. */
export interface StepLimits {
  readonly maxRows: number;
  /** Rows of prompts, or of sources, beside sequences that decode, so that those don't wait long. */
  readonly prefillBesideDecode: number;
  /** Tokens of each sequence that the engine computes at most before the scheduler looks again. */
  readonly burst: number;
}

export const defaultLimits: StepLimits = { maxRows: 512, prefillBesideDecode: 128, burst: 16 };

export interface SchedulerModel {
  readonly pool: KvPool;
  readonly rope: RopeFrequencies | undefined;
  /** The graph that ends in the sampler. */
  readonly sampler: Executable;
  /** Of an encoder-decoder: puts into a source's blocks what the sampler's graph reads of it. */
  readonly encoder?: Executable | undefined;
  /** Copies blocks of every layer's cache. */
  readonly copier: Executable;
  readonly limits: StepLimits;
}

interface Ticket {
  readonly generation: Generation;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
  /** Stops listening for an abort: a signal may outlive the request by far. */
  readonly leaveSignal: () => void;
  /** Blocks promised to it and not taken; undefined: it waits. */
  outstanding?: number;
  /** The last step in which its sequences decoded. */
  decoded: number;
  settled: boolean;
}

interface ExclusiveWork {
  readonly blocks: number;
  readonly signal: AbortSignal;
  readonly run: () => Promise<void>;
}

type TicketSlice = Slice & { readonly ticket: Ticket };

/**
 * Runs the requests of one model together: each step computes the next rows of all running sequences, prompts in chunks beside the
 * sequences that decode; between steps the encoder, if the model has one, reads the sources of new requests. A request starts when
 * the pool can promise it every block that it may need, in the order of the calls, so that nothing that runs ever lacks memory.
 */
export class Scheduler {
  readonly #model: SchedulerModel;
  #waiting: Ticket[] = [];
  #active: Ticket[] = [];
  #steps = 0;
  /** Work that needs the model for itself between two steps. */
  readonly #exclusive: ExclusiveWork[] = [];
  #loop: Promise<void> | undefined;
  #running: { readonly tickets: ReadonlySet<Ticket>; readonly abort: AbortController } | undefined;

  constructor(model: SchedulerModel) {
    this.#model = model;
  }

  /** Runs a request to its end. Rejects with AbortError, with OutOfMemoryError if the pool can never hold it, or as the run fails. */
  run(generation: Generation, signal: AbortSignal): Promise<void> {
    const { pool } = this.#model;
    if (generation.maxBlocks > pool.blocks)
      return Promise.reject(poolError('generate', generation.maxBlocks, pool));
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(abortError(signal.reason));
        return;
      }
      const abort = (): void => this.#abort(ticket, signal.reason);
      const leaveSignal = (): void => signal.removeEventListener('abort', abort);
      const ticket: Ticket = { generation, resolve, reject, leaveSignal, decoded: 0, settled: false };
      signal.addEventListener('abort', abort, { once: true });
      this.#waiting.push(ticket);
      this.#wake();
    });
  }

  /**
   * Runs work that uses the model's executables, between two steps, as soon as the pool has `blocks` to spare; requests that come
   * later wait. After an abort it runs at once, to see that. Rejects with OutOfMemoryError if the pool can never hold so many.
   */
  exclusive<T>(work: () => Promise<T>, blocks: number, signal: AbortSignal): Promise<T> {
    if (blocks > this.#model.pool.blocks)
      return Promise.reject(poolError('logits', blocks, this.#model.pool));
    return new Promise((resolve, reject) => {
      this.#exclusive.push({ blocks, signal, run: () => work().then(resolve, reject) });
      this.#wake();
    });
  }

  /** Ends when nothing is under way any more. */
  async idle(): Promise<void> {
    await this.#loop;
  }

  #wake(): void {
    // Whoever comes waits for the run under way, not for the rest of a burst.
    this.#model.sampler.endBurst();
    this.#loop ??= this.#work().finally(() => {
      this.#loop = undefined;
      if (this.#waiting.length + this.#exclusive.length > 0) this.#wake();
    });
  }

  async #work(): Promise<void> {
    // Calls made in the same turn of the event loop share the first step.
    await Promise.resolve();
    while (this.#waiting.length + this.#active.length + this.#exclusive.length > 0) {
      await this.#runExclusive();
      if (this.#exclusive.length === 0) this.#admit();
      if (this.#active.length > 0) {
        await this.#encode();
        await this.#step();
      } else if (this.#waiting.length + this.#exclusive.length > 0) this.#refuse();
    }
  }

  async #runExclusive(): Promise<void> {
    for (
      let next = this.#exclusive[0];
      next && (next.signal.aborted || next.blocks <= this.#model.pool.available);
      next = this.#exclusive[0]
    ) {
      this.#exclusive.shift();
      await next.run();
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
      this.#active.push(next);
      this.#start(next);
    }
  }

  /** Nothing runs, and yet the pool cannot serve who is next: blocks were lost. An error, where the loop would never end. */
  #refuse(): void {
    const [ticket] = this.#waiting;
    if (!ticket) throw new Error('scheduler: the KV pool has lost blocks');
    this.#settle(ticket, poolError('generate', ticket.generation.maxBlocks, this.#model.pool));
    this.#remove(ticket);
  }

  #start(ticket: Ticket): void {
    try {
      this.#track(ticket, () => {
        ticket.generation.start(this.#model.pool);
      });
    } catch (error) {
      this.#settle(ticket, error);
      this.#remove(ticket);
    }
  }

  /** Runs `work`, and books the blocks that the ticket's sequences took meanwhile against its promise. */
  #track(ticket: Ticket, work: () => void): void {
    const { pool } = this.#model;
    const before = pool.taken;
    try {
      work();
    } finally {
      ticket.outstanding = (ticket.outstanding ?? 0) - (pool.taken - before);
    }
  }

  /** Runs what `compose` gives for those of `ready`; if that fails, they fail, and nobody else does. */
  async #together(
    ready: readonly Ticket[],
    compose: () => readonly TicketSlice[],
    run: (slices: readonly TicketSlice[], signal: AbortSignal, tickets: ReadonlySet<Ticket>) => Promise<void>,
  ): Promise<void> {
    if (ready.length === 0) return;
    const abort = new AbortController();
    let tickets: ReadonlySet<Ticket> = new Set(ready);
    try {
      const slices = compose();
      if (slices.length === 0)
        throw new Error('scheduler: requests are active, and none has rows to compute');
      tickets = new Set(slices.map((s) => s.ticket));
      this.#running = { tickets, abort };
      await run(slices, abort.signal, tickets);
    } catch (error) {
      for (const ticket of tickets) this.#settle(ticket, error);
    } finally {
      this.#running = undefined;
      for (const ticket of tickets) if (ticket.settled) this.#remove(ticket);
    }
  }

  /** Runs the encoder over sources that it has not seen: whole ones, in which each row sees every other. */
  async #encode(): Promise<void> {
    const { encoder } = this.#model;
    if (!encoder) return;
    await this.#together(
      this.#active.filter(isEncoding),
      () => this.#take(this.#sources()),
      async (slices, signal) => {
        await encoder.run({ ...packStep(slices, [], undefined), signal });
        for (const { sequence, rows } of slices) sequence.advance(rows);
      },
    );
  }

  /** Sources in order of arrival, at least one: as many rows as a step may have, or as those of prompts beside sequences that decode. */
  #sources(): TicketSlice[] {
    const { maxRows, prefillBesideDecode } = this.#model.limits;
    const slices: TicketSlice[] = [];
    let room = this.#active.every(isEncoding) ? maxRows : prefillBesideDecode;
    for (const ticket of this.#active.filter(isEncoding)) {
      const sequence = ticket.generation.source as Sequence;
      const rows = sequence.pending;
      if (slices.length > 0 && rows > room) break;
      slices.push({ ticket, sequence, rows });
      room -= rows;
    }
    return slices;
  }

  async #step(): Promise<void> {
    await this.#together(
      this.#ready(),
      () => this.#compose(),
      async (slices, signal, tickets) => {
        const runs = this.#burstLength(slices);
        if (runs > 1) return await this.#burst(slices, runs, signal);
        const choices = await this.#compute(slices, signal);
        // At once, so that those who wait for their text's decoder wait together.
        const copies = await Promise.all([...tickets].map((ticket) => this.#advance(ticket, choices)));
        await this.#copy(copies.flat(), signal);
      },
    );
  }

  /** Requests whose sequences can be computed. */
  #ready(): Ticket[] {
    return this.#active.filter((ticket) => !isEncoding(ticket));
  }

  /** The rows of the next step: first those of sequences that decode, then chunks of prompts, in order of arrival. */
  #compose(): TicketSlice[] {
    const { maxRows, prefillBesideDecode } = this.#model.limits;
    const slices = this.#take(this.#decoding());
    let room = slices.length > 0 ? Math.min(maxRows - slices.length, prefillBesideDecode) : maxRows;
    for (const ticket of this.#ready()) {
      for (const sequence of ticket.generation.sequences) {
        if (sequence.pending === 1 || room <= 0) continue;
        const rows = Math.min(sequence.pending, room);
        slices.push(...this.#take([{ ticket, sequence, rows }]));
        room -= rows;
      }
    }
    return slices;
  }

  /** A row of each sequence that decodes; of more than a step holds, those that waited longest. Those of one request go together. */
  #decoding(): TicketSlice[] {
    this.#steps++;
    const slices: TicketSlice[] = [];
    for (const ticket of this.#ready().sort((a, b) => a.decoded - b.decoded)) {
      const sequences = ticket.generation.sequences.filter(({ pending }) => pending === 1);
      if (sequences.length === 0) continue;
      if (slices.length > 0 && slices.length + sequences.length > this.#model.limits.maxRows) break;
      ticket.decoded = this.#steps;
      slices.push(...sequences.map((sequence) => ({ ticket, sequence, rows: 1 })));
    }
    return slices;
  }

  #take(slices: TicketSlice[]): TicketSlice[] {
    for (const { ticket, sequence, rows } of slices)
      this.#track(ticket, () => {
        sequence.grow(rows);
      });
    return slices;
  }

  /** Computes the rows, and chooses a token for each sequence whose last row is among them. */
  async #compute(slices: readonly TicketSlice[], signal: AbortSignal): Promise<Map<Sequence, RowChoice>> {
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

  /**
   * How many runs may follow one another without anything to decide between them: all sequences decode, nobody waits, and every
   * request knows what its next rows are like.
   */
  #burstLength(slices: readonly TicketSlice[]): number {
    if (this.#waiting.length + this.#exclusive.length > 0 || this.#model.rope?.dynamic) return 1;
    if (this.#active.some(isEncoding)) return 1;
    if (slices.some(({ sequence }) => sequence.pending !== 1)) return 1;
    return Math.min(
      this.#model.limits.burst,
      ...slices.map((s) => s.ticket.generation.steadySteps(s.sequence)),
    );
  }

  /** Runs a burst and hands each request its choices as they come. */
  async #burst(slices: readonly TicketSlice[], runs: number, signal: AbortSignal): Promise<void> {
    for (const { ticket, sequence } of slices) this.#track(ticket, () => sequence.grow(runs));
    const candidates = Math.max(0, ...slices.map((s) => s.ticket.generation.candidates));
    const rows = slices.map((s) => s.ticket.generation.row(s.sequence));
    const request = packStep(slices, lastRows(slices), this.#model.rope);
    let handled: Promise<unknown> = Promise.resolve();
    const take = async (result: Readonly<Record<string, Tensor>>): Promise<void> => {
      // Of a request that was aborted meanwhile, the tokens are not kept.
      for (const { ticket, sequence } of slices) if (!ticket.settled) sequence.advance(1);
      const choices = new Map(slices.map((s, i) => [s.sequence, choiceOf(result, i, candidates)]));
      await Promise.all(
        [...new Set(slices.map((s) => s.ticket))].map((ticket) => this.#advance(ticket, choices)),
      );
    };
    try {
      await this.#model.sampler.burst(withSampling(request, rows, candidates, signal), {
        ...textBurst,
        steps: runs,
        stops: [...new Set(slices.flatMap((s) => s.ticket.generation.stopIds))],
        onStep: (result) => {
          handled = handled.then(() => take(result));
        },
      });
    } finally {
      await handled;
    }
  }

  /** Hands a request its choices; returns the blocks that must be copied before its next step. */
  async #advance(ticket: Ticket, choices: ReadonlyMap<Sequence, RowChoice>): Promise<readonly BlockCopy[]> {
    const { generation } = ticket;
    if (ticket.settled || !generation.sequences.some((s) => choices.has(s))) return [];
    try {
      let copies: ReturnType<Generation['advance']> = [];
      this.#track(ticket, () => {
        copies = generation.advance(choices);
      });
      const made = await copies;
      if (generation.sequences.length === 0) this.#settle(ticket);
      return made;
    } catch (error) {
      this.#settle(ticket, error);
      return [];
    }
  }

  async #copy(copies: readonly BlockCopy[], signal: AbortSignal): Promise<void> {
    if (copies.length === 0) return;
    const inputs = { from: Int32Array.from(copies, (c) => c.from), to: Int32Array.from(copies, (c) => c.to) };
    await this.#model.copier.run({ inputs, bindings: { P: copies.length }, signal });
  }

  /** Rejects at once. The blocks come back when the step under way has ended, which is cut short if it serves nobody else. */
  #abort(ticket: Ticket, reason: unknown): void {
    if (ticket.settled) return;
    this.#settle(ticket, abortError(reason));
    const running = this.#running;
    this.#model.sampler.endBurst();
    if (!running?.tickets.has(ticket)) this.#remove(ticket);
    else if ([...running.tickets].every((t) => t.settled)) running.abort.abort();
  }

  #settle(ticket: Ticket, error?: unknown): void {
    if (ticket.settled) return;
    ticket.settled = true;
    ticket.leaveSignal();
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

/** Whether the encoder has not run for a request yet. */
const isEncoding = ({ generation }: Ticket): boolean => (generation.source?.pending ?? 0) > 0;

function poolError(where: string, blocks: number, pool: KvPool): OutOfMemoryError {
  const [need, have] = [blocks, pool.blocks].map((n) => n * kvBlockSize);
  return new OutOfMemoryError(
    `${where}: the request may need ${need} positions of KV cache, and the pool holds ${have}; shorten the prompt, lower maxNewTokens or the number of sequences`,
  );
}
