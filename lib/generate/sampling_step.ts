import { throwIfAborted } from '../errors.js';
import type { Burst, RunRequest } from '../exec/executor.js';
import { packRows } from '../ops/sampling/pack_rows.js';
import { intColumn, intColumns, type SampleRow } from '../ops/sampling/row.js';
import type { Tensor } from '../tensor.js';
import type { RowChoice } from './generation.js';

/** How the inputs of a text graph's next step follow from a step in which every row is one sequence. */
export const textBurst: Omit<Burst, 'steps' | 'stops' | 'onStep'> = {
  ids: 'ids',
  tokens: 'tokens',
  slots: 'slots',
  positions: 'positions',
  tables: 'block_tables',
  counters: [
    { input: 'positions', first: 0, stride: 1 },
    { input: 'context_lens', first: 0, stride: 1 },
    { input: 'row_ints', first: intColumn.position, stride: intColumns },
  ],
};

/** A step with the inputs of the sampler. */
export function withSampling(
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

/** What the sampler chose for one of its rows. */
export function choiceOf(
  result: Readonly<Record<string, Tensor>>,
  row: number,
  candidates: number,
): RowChoice {
  const column = (name: string): Tensor['data'] => (result[name] as Tensor).data;
  const top = (name: string) => column(name).subarray(row * candidates, (row + 1) * candidates);
  return {
    id: column('ids')[row] as number,
    logprob: column('logprobs')[row] as number,
    topIds: top('top_ids') as Int32Array,
    topLogprobs: top('top_logprobs') as Float32Array,
  };
}
