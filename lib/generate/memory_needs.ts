import { dtypeBytes } from '../dtype.js';
import { OutOfMemoryError } from '../errors.js';
import type { MemoryLimit } from '../exec/available_memory.js';
import type { Graph } from '../ir/graph.js';
import { evalShape, symbolsOf } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import { kvBlockSize } from '../ops/kv_write.js';
import { elementCount } from '../tensor.js';

/** Bytes that a model takes on its device. */
export interface MemoryNeeds {
  readonly weights: number;
  /** What a full step computes in: an estimate. */
  readonly workspace: number;
  /** One block of the KV cache. */
  readonly block: number;
}

/** Rows of a full step, and the size of every other symbol. */
const fullStep = { rows: 512, others: 8 };

const rowsOfFullStep = (symbol: string): number => (symbol === 'T' ? fullStep.rows : fullStep.others);

/**
 * What a model's graphs need together, a KV cache being one block. The reference computes in float64. `sizeOf` gives the size of a
 * symbol; left out: that of a full step of a text graph.
 */
export function memoryNeeds(
  graphs: readonly Graph[],
  device: string,
  sizeOf: (symbol: string) => number = rowsOfFullStep,
): MemoryNeeds {
  const double = device === 'reference';
  const weightBytes = ({ shape, dtype }: Value): number => {
    const [rows = 1, ...rest] = shape as number[];
    // Matrices are packed in panels of 16 rows; vectors are f32.
    if (double || rest.length === 0) return elementCount(shape as number[]) * (double ? 8 : 4);
    return Math.ceil(rows / 16) * 16 * elementCount(rest) * dtypeBytes[dtype];
  };
  const valueBytes = ({ shape, dtype }: Value): number => {
    const sizes = symbolsOf(shape).map((s) => [s, sizeOf(s)]);
    return elementCount(evalShape(shape, Object.fromEntries(sizes))) * (double ? 8 : dtypeBytes[dtype]);
  };
  const computed = graphs
    .flatMap(({ nodes }) => nodes.flatMap((node) => Object.values(node.outputs)))
    .filter((value) => value.state === undefined);
  return {
    weights: sum(distinct(graphs, 'params').map(weightBytes)),
    // A step reads some values while it writes another.
    workspace: 3 * Math.max(0, ...computed.map(valueBytes)),
    block: sum(distinct(graphs, 'states').map(valueBytes)),
  };
}

/** The parameters or states of several graphs, those of one name once. */
export const distinct = (graphs: readonly Graph[], leaves: 'params' | 'states'): Value[] => [
  ...new Map(graphs.flatMap((graph) => [...graph[leaves]])).values(),
];
/** Throws OutOfMemoryError if `bytes` for `purpose` are more than `limit` has to spare. */
export function checkRoom(
  where: string,
  { bytes, purpose, remedy }: { readonly bytes: number; readonly purpose: string; readonly remedy: string },
  limit: MemoryLimit,
): void {
  if (bytes <= limit.bytes) return;
  throw new OutOfMemoryError(
    `${where}: expected room for ${mebibytes(bytes)} ${purpose}, got ${mebibytes(limit.bytes)}, which is what ${limit.of} can spare; ` +
      `${remedy}, or raise the limit`,
  );
}

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/** Memory that is left for KV cache. Throws OutOfMemoryError if the model does not fit, so that no weight is read in vain. */
export function memoryForCache(needs: MemoryNeeds, limit: MemoryLimit): number {
  const spare = limit.bytes - needs.weights - needs.workspace;
  if (spare >= needs.block) return spare;
  const [weights, workspace, block, free] = [needs.weights, needs.workspace, needs.block, limit.bytes].map(
    mebibytes,
  );
  throw new OutOfMemoryError(
    `model: expected room for ${weights} of weights, ${workspace} to compute in and ${block} of KV cache (${kvBlockSize} positions), ` +
      `got ${free}, which is what ${limit.of} can spare; take a smaller model, or raise the limit`,
  );
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
