import { ShapeError } from '../ir/shape.js';
import type { Node, Value } from '../ir/value.js';
import type { KernelCall } from '../plan/kernel_call.js';

/** Output columns of a weight panel: kPanel in kernels/cpu/kernel.h. */
export const panel = 16;

/** Makes a value that only the plan knows: room that a kernel works in. */
type MakeRoom = (dtype: Value['dtype'], shape: Value['shape']) => Value;

/** What lowering needs to know of the CPU level. */
export interface CpuTraits {
  /** bf16 weights are multiplied with activations rounded to bf16. */
  readonly bf16Dot: boolean;
}

/** Room that holds an operand in the form that a product wants it in, and whether an earlier step has filled it. */
export interface Prepared {
  readonly room: Value;
  readonly filled: boolean;
}

/** A node to be lowered, and with what. */
export interface Lowering {
  /** Room for `operand` in the form of that name: the same for all steps of the graph that ask for both. */
  readonly prepared: (operand: Value, form: string, shape: Value['shape']) => Prepared;
  readonly node: Node;
  readonly room: MakeRoom;
  readonly traits: CpuTraits;
}

/** An operand that must be there. Throws {@link ShapeError}. */
export const input = (node: Node, name: string): Value => {
  const value = node.inputs[name];
  if (!value) throw new ShapeError(`${node.op}: input "${name}" is missing`);
  return value;
};
/** A scalar attribute; 0 where it is left out. */
export const attr = (node: Node, name: string): number => Number(node.attrs[name] ?? 0);
/** The number by which kernels know a name of a table. */
export const indexOf = (table: object, name: unknown): number => Object.keys(table).indexOf(String(name));
/** One step of the kernel with the op's name, over operands by name and all outputs. */
export const plain = (node: Node, names: readonly string[], attrs: readonly number[] = []): KernelCall => ({
  kernel: node.op,
  inputs: names.map((n) => node.inputs[n]),
  outputs: Object.values(node.outputs),
  attrs,
});
