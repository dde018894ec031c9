import { graphOf } from './graph.js';
import type { OnnxBuilder, OnnxName, OnnxValue } from './onnx_builder.js';
import { type Shape, ShapeError } from './shape.js';
import type { Attrs, NamedTypes, NamedValues, TensorType, Value } from './value.js';

/** Input names to a type: a name that ends in '?' may be left out. */
export type Named<I extends readonly string[], T> = {
  readonly [K in I[number] as K extends `${string}?` ? never : K]: T;
} & { readonly [K in I[number] as K extends `${infer N}?` ? N : never]?: T | undefined };

/** What the reference executor computes with: row-major float64, whatever the logical type. */
export interface RefTensor {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** Vector-Jacobian product: a value for each input that a gradient flows to, from the gradients of the outputs. */
export type Gradient<I extends readonly string[], A, O extends string> = (context: {
  readonly inputs: Named<I, Value>;
  readonly attrs: A;
  readonly outputs: Readonly<Record<O, Value>>;
  readonly gradients: Readonly<Partial<Record<O, Value>>>;
}) => Partial<Record<string, Value>>;

/** What an op is in ONNX operators: a name for each output. */
export type OnnxLowering<I extends readonly string[], A, O extends string> = (context: {
  readonly inputs: Named<I, OnnxValue>;
  readonly attrs: A;
  readonly outputs: Readonly<Record<O, TensorType>>;
  readonly onnx: OnnxBuilder;
}) => Readonly<Record<O, OnnxName>>;

/** An op that has no form in some language, and why. */
export interface Excluded {
  readonly excluded: string;
}

interface OpBase<I extends readonly string[], A extends Attrs, O extends string> {
  readonly name: string;
  /** Input names in order; a trailing '?' marks an optional one. */
  readonly inputs: I;
  readonly outputs: readonly O[];
  /** Output types from input types. Throws {@link ShapeError}. */
  infer(inputs: Named<I, TensorType>, attrs: A): Readonly<Record<O, TensorType>>;
  /** Outputs that are the next version of a state, and the input that is the version before. */
  readonly writes?: Readonly<Partial<Record<O, string>>>;
}

/** An op that cannot be said in simpler ones. */
export interface Primitive<I extends readonly string[], A extends Attrs, O extends string>
  extends OpBase<I, A, O> {
  readonly kind: 'primitive';
  /** `'none'`: no gradient flows through it (integers, caches). */
  readonly gradient: Gradient<I, A, O> | 'none';
  /** Excluded: it runs by its reference, after everything else. */
  readonly onnx: OnnxLowering<I, A, O> | Excluded;
  /** The output is the input `x` under another shape: the same numbers in the same order, no work. */
  readonly view?: boolean;
  /** Fills the outputs, which have their shapes; an output in `writes` starts as a copy of the version before. */
  reference(inputs: Named<I, RefTensor>, attrs: A, outputs: Readonly<Record<O, RefTensor>>): void;
}

/** An op that is a short program of others, kept whole where a kernel does it at once. */
export interface Composite<I extends readonly string[], A extends Attrs, O extends string>
  extends OpBase<I, A, O> {
  readonly kind: 'composite';
  /** The same function in simpler ops: its meaning, and the oracle of its kernels. */
  decompose(inputs: Named<I, Value>, attrs: A): Readonly<Record<O, Value>>;
  /** Left out: the decomposition is differentiated. */
  readonly gradient?: Gradient<I, A, O>;
  /** Left out: the decomposition is lowered. Excluded: as for a primitive. */
  readonly onnx?: OnnxLowering<I, A, O> | Excluded;
}

export type OpSpec<I extends readonly string[], A extends Attrs, O extends string> =
  | Primitive<I, A, O>
  | Composite<I, A, O>;
/** Any op, as the registry knows it. */
export type AnyOp = OpSpec<readonly string[], Attrs, string>;
/** Applies an op to values of one graph and returns its outputs. */
export type Apply<I extends readonly string[], A extends Attrs, O extends string> = (
  inputs: Named<I, Value>,
  attrs: A,
) => Readonly<Record<O, Value>>;

const registry = new Map<string, AnyOp>();

/** All ops, by name. */
export const allOps: ReadonlyMap<string, AnyOp> = registry;

/** The op of that name. Throws {@link ShapeError} if there is none. */
export function opNamed(name: string): AnyOp {
  const op = registry.get(name);
  if (!op) throw new ShapeError(`no op is named "${name}"`);
  return op;
}

/** Declares an op: the whole truth about it. Returns the function that applies it. */
export function defineOp<const I extends readonly string[], A extends Attrs, const O extends string>(
  spec: OpSpec<I, A, O>,
): Apply<I, A, O> {
  if (registry.has(spec.name)) throw new ShapeError(`op "${spec.name}" is defined twice`);
  const op = spec as unknown as AnyOp;
  registry.set(spec.name, op);
  return (inputs, attrs) => applyOp(op, inputs as NamedValues, attrs) as Readonly<Record<O, Value>>;
}

/** Applies an op known by its spec; what {@link defineOp}'s functions and the passes call. */
export function applyOp(
  op: AnyOp,
  inputs: Readonly<Record<string, Value | undefined>>,
  attrs: Attrs,
): NamedValues {
  const given: Record<string, Value> = {};
  for (const declared of op.inputs) {
    const name = declared.replace('?', '');
    const value = inputs[name];
    if (value) given[name] = value;
    else if (!declared.endsWith('?')) throw new ShapeError(`${op.name}: input "${name}" is missing`);
  }
  const [first, ...rest] = Object.values(given);
  if (!first) throw new ShapeError(`${op.name}: expected at least one input`);
  const graph = graphOf(first);
  for (const value of rest) {
    if (graphOf(value) !== graph) throw new ShapeError(`${op.name}: inputs belong to different graphs`);
  }
  const types = op.infer(given as Named<readonly string[], TensorType>, attrs) as NamedTypes;
  return graph.append(op.name, given, attrs, types, op.writes);
}

/** Type of a f32 result of that shape. */
export const f32 = (shape: Shape): TensorType => ({ dtype: 'f32', shape });
