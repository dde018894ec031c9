import { cpuExecutor } from '../../lib/exec/cpu.js';
import type { Executable, Session } from '../../lib/exec/executor.js';
import type { Graph } from '../../lib/ir/graph.js';
import type { Tensor } from '../../lib/tensor.js';
import { memoryParams } from '../../lib/weights/param_source.js';
import { floats, named } from '../random.js';

/** Numbers of rows around the edges of tiles, vectors and plan sizes. */
export const rowCounts = [1, 2, 3, 7, 8, 9, 16, 33, 129, 512];
export const mostRows = 512;

export interface Place {
  readonly isa: string;
  readonly threads: number;
}

/** A graph ready to run; its parameters are f32 numbers at random, the same each time. The caller disposes the session. */
export async function compile(
  graph: Graph,
  { isa, threads }: Place,
): Promise<{ readonly executable: Executable; readonly session: Session }> {
  const params = [...graph.params.values()].map((v) => {
    const shape = v.shape as number[];
    const count = shape.reduce((n, d) => n * d, 1);
    return [v.name, { shape, data: floats(named(v.name), count) }];
  });
  const session = cpuExecutor({ isa, threads }).open(memoryParams(Object.fromEntries(params)));
  return { executable: await session.compile(graph), session };
}

/** The bits of a tensor's numbers. */
export function bits(t: Tensor | undefined): Int32Array {
  const data = t?.data ?? new Float32Array();
  return new Int32Array(data.buffer, data.byteOffset, data.length);
}

export function joined(parts: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Where two runs part, in rows of `width`; undefined: nowhere. */
export function parting(got: Int32Array, want: Int32Array, width: number): string | undefined {
  if (got.length !== want.length) return `${got.length} numbers instead of ${want.length}`;
  const at = got.findIndex((b, i) => b !== want[i]);
  return at < 0 ? undefined : `row ${Math.floor(at / width)}, column ${at % width}`;
}
