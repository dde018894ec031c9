import type { Value } from '../ir/value.js';
import { isParamRequest, type KernelCall } from './kernel_call.js';

/** Steps from the first to the last in which a value's memory is in use. */
export interface Lifetime {
  readonly value: Value;
  readonly first: number;
  readonly last: number;
}

/** Lifetimes of the memory that the steps of a plan compute into and read. */
export function lifetimes(calls: readonly KernelCall[], rootOf: (value: Value) => Value): Lifetime[] {
  const found = new Map<Value, { first: number; last: number }>();
  calls.forEach((call, step) => {
    const operands = [
      ...call.inputs.filter((i) => i !== undefined && !isParamRequest(i)),
      ...call.outputs,
    ] as Value[];
    for (const operand of operands) {
      const root = rootOf(operand);
      const known = found.get(root);
      if (known) known.last = step;
      else found.set(root, { first: step, last: step });
    }
  });
  return [...found].map(([value, { first, last }]) => ({ value, first, last }));
}
