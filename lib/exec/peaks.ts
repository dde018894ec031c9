import { throwIfAborted } from '../errors.js';
import { unaryFunctions } from '../ops/unary.js';
import { sources } from '../plan/encode.js';
import { loadBinding, type NativePlan, type NativeSession } from './binding.js';

/** Reads of memory that differ in their pattern; the order is shared with kernels/cpu/kernel.h. */
const readPatterns = ['plain', '1 KiB ahead', '4 KiB ahead', '4 streams', '8 streams'];
/** What a tile of the peak kernels has: kPeakReadTile and kPeakTileOps of kernels/cpu/kernel.h. The engine refuses other sizes. */
const tileBytes = 2 ** 22;
const tileOps = 3 * 2 ** 24;
/** Shortest run that a rate is taken from: waking the threads and telling JavaScript take well below a thousandth of it. */
const shortestMs = 50;
const attempts = 3;

/** Instructions whose rate bounds the linears: f32 multiply-adds, the dot product of bf16 pairs, or products of int8. */
export type ComputeUnit = 'fma' | 'dot' | 'int8';

export interface PeaksOptions {
  readonly isa: string;
  readonly threads: number;
  /** Memory to read from: much more than the caches hold. */
  readonly bytes: number;
}

/** Measures what a machine can do at most, on the engine's own threads, by steps that belong to no model. */
export class Peaks {
  readonly #native: NativeSession;
  readonly #numbers: number;
  readonly #plans = new Map<string, number>();
  /** Operations that take long enough, by unit. */
  readonly #ops = new Map<ComputeUnit, number>();

  private constructor(native: NativeSession, numbers: number) {
    this.#native = native;
    this.#numbers = numbers;
  }

  /** Takes the memory and touches it. Throws OutOfMemoryError, UnsupportedError for an instruction set that is not there. */
  static async open({ isa, threads, bytes }: PeaksOptions): Promise<Peaks> {
    const size = Math.max(Math.floor(bytes / tileBytes), 1) * tileBytes;
    const native = new (loadBinding().Session)(isa, threads);
    native.addState(size);
    const peaks = new Peaks(native, size / 4);
    // cos(0) is 1: memory that nobody has written to would be one and the same page of zeros.
    await peaks.#run('unary', [0], [0], Object.keys(unaryFunctions).indexOf('cos'));
    return peaks;
  }

  /** Bandwidth of plain reads, in GB/s: the best of several patterns, all threads. */
  async readGBps(signal?: AbortSignal): Promise<number> {
    let best = 0;
    for (const pattern of readPatterns.keys()) {
      throwIfAborted(signal);
      const ms = await this.#run('peak_read', [0], [], pattern);
      best = Math.max(best, (this.#numbers * 4) / ms / 1e6);
    }
    return best;
  }

  /** Rate of one kind of arithmetic in registers, in 10⁹ operations a second, all threads; a multiply-add counts as two. */
  async computeGops(unit: ComputeUnit, signal?: AbortSignal): Promise<number> {
    let best = 0;
    for (let done = 0; done < attempts; ) {
      throwIfAborted(signal);
      const ops = this.#ops.get(unit) ?? 16 * tileOps;
      const ms = await this.#run(`peak_${unit}`, [], [], ops);
      best = Math.max(best, ops / ms / 1e6);
      if (ms < shortestMs) this.#ops.set(unit, 2 * ops);
      else done++;
    }
    return best;
  }

  /** Gives the memory back. */
  dispose(): void {
    this.#native.dispose();
  }

  /** Milliseconds of a plan of one step. Operand 0 is the memory. */
  async #run(
    kernel: string,
    inputs: readonly number[],
    outputs: readonly number[],
    attr: number,
  ): Promise<number> {
    const key = `${kernel} ${attr}`;
    const plan = this.#plans.get(key) ?? this.#plan({ kernel, inputs, outputs, attrs: [attr] });
    this.#plans.set(key, plan);
    const begin = performance.now();
    await this.#native.run(plan, [], [], []);
    return performance.now() - begin;
  }

  #plan(step: NativePlan['steps'][number]): number {
    const memory = { source: sources.state, at: 0, dtype: 'f32', dims: [this.#numbers] };
    return this.#native.addPlan(
      { arenaBytes: 0, capacities: [], inputs: 0, outputs: 0, values: [memory], steps: [step] },
      [],
      [0],
    );
  }
}
