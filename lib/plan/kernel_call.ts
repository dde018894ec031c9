import type { Value } from '../ir/value.js';

/** A parameter as a kernel wants it: one or more tensors in the executor's own layout. */
export interface ParamRequest {
  /** `panels`: the weights of a linear or embedding; `vector`: f32 numbers, padded with 0 to whole panels. */
  readonly layout: 'panels' | 'vector';
  /** Two parts interleaved panel by panel (a gate and an up projection) rather than one after the other. */
  readonly gated: boolean;
  /** Parameters, or the width of a part that is absent and counts as 0. */
  readonly parts: readonly (Value | number)[];
}

export type Operand = Value | ParamRequest | undefined;

/** One kernel step before it has addresses: what an executor's lowering makes of a node. */
export interface KernelCall {
  readonly kernel: string;
  /** Operands in the kernel's order; undefined: an optional one that is absent. */
  readonly inputs: readonly Operand[];
  readonly outputs: readonly Value[];
  /** Scalars in the kernel's order. */
  readonly attrs: readonly number[];
}

export const isParamRequest = (operand: Operand): operand is ParamRequest =>
  operand !== undefined && 'layout' in operand;
