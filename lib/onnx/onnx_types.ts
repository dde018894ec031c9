import type { DType } from '../dtype.js';

/** ONNX's numbers of our types, where q8 weights are the f32 numbers that they stand for: TensorProto.DataType of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
export const onnxTypes: Readonly<Record<DType, number>> = {
  f32: 1,
  u8: 2,
  i8: 3,
  i16: 5,
  i32: 6,
  i64: 7,
  bool: 9,
  f16: 10,
  f64: 11,
  bf16: 16,
  q8: 1,
};
