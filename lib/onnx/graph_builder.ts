import type { DType } from '../dtype.js';
import type { Graph } from '../ir/graph.js';
import type { OnnxAttrs, OnnxBuilder, OnnxName, OnnxValue } from '../ir/onnx_builder.js';
import { type Dim, evalDim, evalShape, type Shape, ShapeError, symbolsOf } from '../ir/shape.js';
import type { Value } from '../ir/value.js';
import type { ExternalBytes, OnnxNode, OnnxPort, OnnxTensor } from './onnx_model.js';
import { onnxTypes } from './onnx_types.js';
import { dequantized, roundedToQ8 } from './q8_weight.js';
import { StateRows } from './state_rows.js';

/** A parameter as it is stored. */
export interface StoredParam {
  readonly dtype: DType;
  /** The parameter's shape, or with `transposed` the reverse of it. */
  readonly shape: readonly number[];
  readonly transposed: boolean;
  readonly data: Uint8Array | ExternalBytes;
  /** Of int8 numbers that are q8: their scales, f16 [N, ⌈K / 32⌉]. */
  readonly scales?: { readonly shape: readonly number[]; readonly data: ExternalBytes };
}

/** Collects an ONNX graph. Leaves of our graph become inputs and initializers when they are first read. */
export class GraphBuilder implements OnnxBuilder {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxTensor[] = [];
  readonly inputs: OnnxPort[] = [];
  readonly states: StateRows = new StateRows(this, (name, dtype, shape) => this.input(name, dtype, shape));
  readonly #graph: Graph;
  readonly #param: (value: Value) => StoredParam;
  /** What was made before, by what it was made of. */
  readonly #made = new Map<string, readonly OnnxName[]>();

  constructor(graph: Graph, param: (value: Value) => StoredParam) {
    this.#graph = graph;
    this.#param = param;
  }

  op(operator: string, inputs: readonly (OnnxName | undefined)[], attrs?: OnnxAttrs): OnnxName {
    return this.ops(operator, inputs, 1, attrs)[0] as OnnxName;
  }

  ops(
    operator: string,
    inputs: readonly (OnnxName | undefined)[],
    outputs: number,
    attrs: OnnxAttrs = {},
  ): readonly OnnxName[] {
    const names = inputs.map((name) => name ?? '');
    while (names.at(-1) === '') names.pop();
    const shown = Object.entries(attrs).map(([name, attr]) => [name, typeof attr, String(attr)]);
    return this.#once([operator, names, outputs, shown], () => {
      for (const name of names) this.states.refuse(operator, name);
      const at = operator.lastIndexOf('.');
      const node = { operator: operator.slice(at + 1), domain: operator.slice(0, Math.max(at, 0)) };
      const first = `${node.operator}_${this.nodes.length}`;
      const made = Array.from({ length: outputs }, (_, i) => (i === 0 ? first : `${first}_${i}`));
      this.nodes.push({ ...node, inputs: names, outputs: made, attrs });
      return made;
    });
  }

  ints(data: readonly number[], shape: readonly number[] = [data.length]): OnnxName {
    return this.#constant('i64', shape, data, BigInt64Array.from(data, BigInt));
  }

  floats(data: readonly number[], shape: readonly number[] = [data.length]): OnnxName {
    return this.#constant('f32', shape, data, Float32Array.from(data));
  }

  cast(dtype: DType, x: OnnxName): OnnxName {
    return this.op('Cast', [x], { to: BigInt(onnxTypes[dtype]) });
  }

  as(dtype: DType, { id, dtype: own }: OnnxValue): OnnxName {
    return own === dtype ? id : this.cast(dtype, id);
  }

  sizes(shape: Shape): OnnxName {
    if (shape.every((dim) => typeof dim === 'number')) return this.ints(shape);
    const sizes = shape.map((dim) => this.#size(dim));
    return sizes.length === 1 ? (sizes[0] as OnnxName) : this.op('Concat', sizes, { axis: 0n });
  }

  reshape(x: OnnxName, shape: Shape): OnnxName {
    const fixed = shape.filter((dim) => typeof dim === 'number');
    // In a shape of numbers one unknown may be −1, and 0 means something else unless the operator is told.
    if (fixed.includes(0)) return this.op('Reshape', [x, this.sizes(shape)], { allowzero: 1n });
    const plain = shape.length - fixed.length <= 1;
    const sizes = plain
      ? this.ints(shape.map((dim) => (typeof dim === 'number' ? dim : -1)))
      : this.sizes(shape);
    return this.op('Reshape', [x, sizes]);
  }

  readRows(state: OnnxValue, axes: number, rows: OnnxName): OnnxName {
    return this.states.read(state, axes, rows);
  }

  writeRows(state: OnnxValue, axes: number, rows: OnnxName, values: OnnxName): OnnxName {
    return this.states.write(state, axes, rows, values);
  }

  /** A leaf's name, made known to ONNX. */
  leaf(value: Value): OnnxName {
    switch (value.kind) {
      case 'input':
        return this.input(value.name, value.dtype, value.shape);
      case 'const':
        return this.#constantOf(value);
      case 'param':
        return this.#parameter(value);
      case 'state':
        return this.states.base(value);
      case 'node':
        throw new ShapeError(`onnx: ${value.name} is used before it is computed`);
    }
  }

  input(name: string, dtype: DType, shape: Shape): OnnxName {
    return this.#once(['input', name], () => {
      this.inputs.push({ name, dtype, shape });
      return [name];
    })[0] as OnnxName;
  }

  /** The size of one dimension: i64 [1]. */
  #size(dim: Dim): OnnxName {
    const symbols = symbolsOf([dim]);
    const coefficient = evalDim(dim, Object.fromEntries(symbols.map((symbol) => [symbol, 1])));
    const factors = symbols.map((symbol) => this.#symbol(symbol));
    if (coefficient !== 1 || factors.length === 0) factors.push(this.ints([coefficient]));
    return factors.reduce((product, factor) => this.op('Mul', [product, factor]));
  }

  #symbol(symbol: string): OnnxName {
    for (const value of this.#graph.inputs.values()) {
      const axis = value.shape.indexOf(symbol);
      if (axis < 0) continue;
      return this.op('Shape', [this.leaf(value)], { start: BigInt(axis), end: BigInt(axis + 1) });
    }
    throw new ShapeError(`onnx: expected an input with an axis of size ${symbol}, got none`);
  }

  #constantOf({ dtype, shape, data = [] }: Value): OnnxName {
    const bytes = dtype === 'i32' ? Int32Array.from(data) : Float32Array.from(data);
    return this.#constant(dtype === 'i32' ? dtype : 'f32', evalShape(shape, {}), data, bytes);
  }

  #constant(
    dtype: DType,
    shape: readonly number[],
    numbers: readonly number[],
    data: ArrayBufferView,
  ): OnnxName {
    return this.#once(['const', dtype, shape, numbers.join()], () => {
      const name = `constant_${this.initializers.length}`;
      this.initializers.push({ name, dtype, shape, data: bytesOf(data) });
      return [name];
    })[0] as OnnxName;
  }

  /** The parameter in the type and shape that the graph gives it; ONNX folds what that takes into the weights once. */
  #parameter(value: Value): OnnxName {
    const { dtype, shape, transposed, data, scales } = this.#param(value);
    const name = this.#initializer(value.name, dtype, shape, data);
    const [n = 0, k = 0] = value.shape as number[];
    if (scales) {
      const factors = this.#initializer(`${value.name}_scale`, 'f16', scales.shape, scales.data);
      return dequantized(this, name, factors, { n, k });
    }
    const upright = transposed ? this.op('Transpose', [name], { perm: [1, 0] }) : name;
    const numbers = this.as(value.dtype, { id: upright, dtype, shape });
    return value.dtype === 'q8' ? roundedToQ8(this, numbers, { n, k }) : numbers;
  }

  #initializer(name: string, dtype: DType, shape: readonly number[], data: OnnxTensor['data']): OnnxName {
    return this.#once(['param', name], () => {
      this.initializers.push({ name, dtype, shape, data });
      return [name];
    })[0] as OnnxName;
  }

  #once(key: unknown, make: () => readonly OnnxName[]): readonly OnnxName[] {
    const text = JSON.stringify(key);
    const names = this.#made.get(text) ?? make();
    this.#made.set(text, names);
    return names;
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
