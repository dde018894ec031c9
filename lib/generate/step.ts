import type { RunRequest } from '../exec/executor.js';
import type { RopeFrequencies } from '../nn/rope_frequencies.js';
import type { Sequence } from './sequence.js';

/** Rows of one sequence in a step: its next `rows` tokens that are not in the cache yet. */
export interface Slice {
  readonly sequence: Sequence;
  readonly rows: number;
}

/** Inputs of a text graph for the packed rows of some sequences, and which rows' logits are wanted. */
export function packStep(
  slices: readonly Slice[],
  logitRows: readonly number[],
  rope: RopeFrequencies | undefined,
): RunRequest {
  const total = slices.reduce((n, s) => n + s.rows, 0);
  const tokens = new Int32Array(total);
  const positions = new Int32Array(total);
  const slots = new Int32Array(total);
  const starts = new Int32Array(slices.length + 1);
  const lengths = new Int32Array(slices.length);
  const sets = new Int32Array(total);
  let row = 0;
  slices.forEach(({ sequence, rows }, b) => {
    for (let p = sequence.computed; p < sequence.computed + rows; p++, row++) {
      tokens[row] = sequence.tokens[p] as number;
      positions[row] = p;
      slots[row] = sequence.slot(p);
      sets[row] = b;
    }
    starts[b + 1] = row;
    lengths[b] = sequence.computed + rows;
  });
  const { tables, width } = blockTables(slices.map(({ sequence }) => sequence));
  const sources = slices.flatMap(({ sequence }) => sequence.source ?? []);
  const read = blockTables(sources);
  const half = rope?.invFreq.length ?? 0;
  const dynamic = rope?.dynamic;
  const frequencies =
    dynamic && Float32Array.from(slices.flatMap(({ sequence }) => dynamic(sequence.tokens.length)));
  return {
    inputs: {
      tokens,
      positions,
      slots,
      q_starts: starts,
      context_lens: lengths,
      block_tables: tables,
      logit_rows: Int32Array.from(logitRows),
      ...(sources.length > 0
        ? { source_lens: Int32Array.from(sources, (s) => s.computed), source_tables: read.tables }
        : {}),
      ...(frequencies && half > 0 ? { rope_inv_freq: frequencies, rope_set: sets } : {}),
    },
    bindings: {
      T: total,
      B: slices.length,
      B1: slices.length + 1,
      MB: width,
      SB: read.width,
      R: logitRows.length,
      S: slices.length,
    },
  };
}

/** The blocks of each sequence, one row as wide as the longest. */
function blockTables(sequences: readonly Sequence[]): { tables: Int32Array; width: number } {
  const width = Math.max(0, ...sequences.map(({ blocks }) => blocks.length));
  const tables = new Int32Array(sequences.length * width);
  sequences.forEach(({ blocks }, b) => {
    tables.set(blocks, b * width);
  });
  return { tables, width };
}

/** Index of each slice's last row among all. */
export function lastRows(slices: readonly Slice[]): number[] {
  let end = 0;
  return slices.map(({ rows }) => {
    end += rows;
    return end - 1;
  });
}
