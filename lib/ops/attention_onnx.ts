import type { OnnxBuilder, OnnxName, OnnxValue } from '../ir/onnx_builder.js';
import type { AttentionAttrs } from './attention_attrs.js';

/** Where queries and keys stand, each i64 and broadcast to [B, Tq, S]. */
export interface Places {
  readonly query: OnnxName; // [B, Tq, 1]
  readonly key: OnnxName; // [B or 1, 1 or Tq, S]
  /** Whether the key belongs to the query's sequence: bool. */
  readonly own: OnnxName;
}

/** Operands of a dense batch. */
export interface DenseAttention {
  readonly q: OnnxName; // [B, Tq, H·D]
  readonly k: OnnxName; // [B, S, Hkv·D]
  readonly v: OnnxName;
  readonly heads: number;
  readonly kvHeads: number;
  readonly visible: OnnxName; // bool [B, Tq, S]
  readonly slopes?: { readonly values: OnnxValue; readonly places: Places } | undefined;
  /** Keys and values of earlier tokens, [B, Hkv, P, D] each; {@link DenseAttention.visible} then spans both. */
  readonly past?: readonly [OnnxName, OnnxName];
}

/** Which keys each query sees, by the attributes and `own`: bool [B, Tq, S], never less, as the operator wants it so. */
export function visibleKeys(onnx: OnnxBuilder, attrs: AttentionAttrs, places: Places): OnnxName {
  const { query, key, own } = places;
  const ahead = onnx.op('Sub', [key, query]); // [B, Tq, S]
  const within = (operator: string, limit: number): OnnxName =>
    onnx.op(operator, [ahead, onnx.ints([limit])]);
  const seen = onnx.op('And', [own, within('LessOrEqual', attrs.causal ? 0 : 2 ** 31)]);
  return attrs.window > 0 ? onnx.op('And', [seen, within('Greater', -attrs.window)]) : seen;
}

/** Adding it hides a key; less than infinity, so that a row that sees nothing stays finite. */
const hidden = -1e30;

/** The standard operator Attention over a dense batch: y [B, Tq, H·D], then with `past` the present keys and values. */
export function denseAttention(
  onnx: OnnxBuilder,
  attrs: AttentionAttrs,
  a: DenseAttention,
): readonly OnnxName[] {
  const visible = onnx.op('Unsqueeze', [a.visible, onnx.ints([1])]); // [B, 1, Tq, S]
  const mask = a.slopes ? sloped(onnx, visible, a.slopes) : visible;
  const attributes = {
    q_num_heads: BigInt(a.heads),
    kv_num_heads: BigInt(a.kvHeads),
    scale: attrs.scale,
    ...(attrs.softcap > 0 ? { softcap: attrs.softcap } : {}),
  };
  return onnx.ops('Attention', [a.q, a.k, a.v, mask, ...(a.past ?? [])], a.past ? 3 : 1, attributes);
}

/** ALiBi: slope · (key − query) where a key is seen. f32 [B, H, Tq, S]. */
function sloped(
  onnx: OnnxBuilder,
  visible: OnnxName,
  { values, places }: NonNullable<DenseAttention['slopes']>,
): OnnxName {
  const distance = onnx.cast('f32', onnx.op('Sub', [places.key, places.query])); // [B, Tq, S]
  const bias = onnx.op('Mul', [
    onnx.op('Unsqueeze', [distance, onnx.ints([1])]),
    onnx.op('Reshape', [values.id, onnx.ints([1, -1, 1, 1])]),
  ]);
  return onnx.op('Where', [visible, bias, onnx.floats([hidden])]);
}

/** y [B, Tq, C] with 0 in the rows that see no key. */
export function zeroUnseeing(onnx: OnnxBuilder, y: OnnxName, visible: OnnxName): OnnxName {
  const sees = onnx.op('ReduceMax', [onnx.cast('f32', visible), onnx.ints([2])]); // [B, Tq, 1]
  return onnx.op('Mul', [y, sees]);
}

/** Packed rows: where each sequence begins and ends, and which one each of `count` rows belongs to. */
export interface PackedRows {
  readonly begin: OnnxName; // i64 [B]
  readonly end: OnnxName; // i64 [B]
  readonly length: OnnxName; // i64 [B]
  readonly row: OnnxName; // i64 [T]: 0, 1, …
  readonly sequence: OnnxName; // i64 [T]
}

/** Reads an offsets tensor [B + 1] over rows whose number is `count`, a scalar. */
export function packedRows(onnx: OnnxBuilder, starts: OnnxValue, count: OnnxName): PackedRows {
  const all = onnx.as('i64', starts);
  const part = (from: number, to: number): OnnxName =>
    onnx.op('Slice', [all, onnx.ints([from]), onnx.ints([to]), onnx.ints([0])]);
  const begin = part(0, -1);
  const end = part(1, 2 ** 31 - 1);
  const row = range(onnx, count);
  const passed = onnx.op('LessOrEqual', [
    onnx.op('Unsqueeze', [end, onnx.ints([0])]),
    onnx.op('Unsqueeze', [row, onnx.ints([1])]),
  ]); // [T, B]
  const sequence = onnx.op('ReduceSum', [onnx.cast('i64', passed), onnx.ints([1])], {
    keepdims: 0n,
  });
  return { begin, end, length: onnx.op('Sub', [end, begin]), row, sequence };
}

/** 0, 1, …, count − 1; count is an i64 scalar. */
export const range = (onnx: OnnxBuilder, count: OnnxName): OnnxName =>
  onnx.op('Range', [onnx.ints([0], []), count, onnx.ints([1], [])]);

/** The size of one dimension as an i64 scalar. */
export const sizeOfDim = (onnx: OnnxBuilder, value: OnnxValue, axis: number): OnnxName =>
  onnx.op('Squeeze', [onnx.sizes([value.shape[axis] ?? 0])]);
