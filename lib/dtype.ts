/** Element types of checkpoint tensors. */
export type ElementType = 'f64' | 'f32' | 'f16' | 'bf16' | 'i64' | 'i32' | 'i16' | 'i8' | 'u8' | 'bool';

/**
 * Logical types of graph values: element types, and `q8` for the weights of quantized linears. That is ggml's Q8_0: int8 numbers with
 * one f16 scale for each {@link q8Group} of a row; the last group of a row may be shorter.
 */
export type DType = ElementType | 'q8';

/** Numbers of a q8 row that share a scale. */
export const q8Group = 32;
/** Scales of a q8 row of k numbers. */
export const q8Scales = (k: number): number => Math.ceil(k / q8Group);

/** Bytes of one element; of q8 with its share of a scale. */
export const dtypeBytes: Readonly<Record<DType, number>> = {
  f64: 8,
  f32: 4,
  f16: 2,
  bf16: 2,
  i64: 8,
  i32: 4,
  i16: 2,
  i8: 1,
  u8: 1,
  bool: 1,
  q8: 1 + 2 / q8Group,
};

/** Whether values of this type are real numbers that a linear layer can take as weights. */
export const isFloat = (dtype: DType): boolean =>
  dtype === 'f64' || dtype === 'f32' || dtype === 'f16' || dtype === 'bf16';

/** Value of the IEEE 754 binary16 number with these bits. */
export function f16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const f32Scratch = new Float32Array(1);
const u32Scratch = new Uint32Array(f32Scratch.buffer);

/** Value of the bfloat16 number with these bits. */
export function bf16ToNumber(bits: number): number {
  u32Scratch[0] = bits << 16;
  return f32Scratch[0] as number;
}

/** Bits of the bfloat16 nearest to x: ties to even, NaN stays NaN. */
function numberToBf16(x: number): number {
  f32Scratch[0] = x;
  const u = u32Scratch[0] as number;
  if ((u & 0x7fffffff) > 0x7f800000) return (u >>> 16) | 0x40;
  return ((u + 0x7fff + ((u >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The binary16 number nearest to x: ties to even, infinity above 65519. */
function roundToF16(x: number): number {
  f32Scratch[0] = x;
  const exponent = (((u32Scratch[0] as number) >>> 23) & 0xff) - 127;
  const ulp = 2 ** (Math.max(exponent, -14) - 10);
  const below = Math.floor(x / ulp);
  const rest = x / ulp - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 !== 0);
  const y = (up ? below + 1 : below) * ulp;
  return Math.abs(y) > 65504 ? Math.sign(y) * Number.POSITIVE_INFINITY : y;
}

/** The number of that type nearest to x, for the element types that weights are stored in; x for others. */
export function roundTo(dtype: DType, x: number): number {
  if (dtype === 'f16') return roundToF16(x);
  if (dtype === 'bf16') return bf16ToNumber(numberToBf16(x));
  return dtype === 'f32' ? Math.fround(x) : x;
}

/** Bits of the binary16 number nearest to x. */
function numberToF16(x: number): number {
  const y = roundToF16(x);
  if (Number.isNaN(y)) return 0x7e00;
  f32Scratch[0] = y;
  const u = u32Scratch[0] as number;
  const sign = (u >>> 16) & 0x8000;
  if (!Number.isFinite(y)) return sign | 0x7c00;
  if (Math.abs(y) < 2 ** -14) return sign | (Math.abs(y) * 2 ** 24);
  return sign | (((u >>> 13) & 0x3ffff) - (112 << 10));
}

/** The largest magnitude among x[begin], … x[end − 1]; NaN if one of them is. */
function largest(x: Float32Array, begin: number, end: number): number {
  let most = 0;
  for (let i = begin; i < end; i++) {
    const size = Math.abs(x[i] as number);
    if (size <= most) continue;
    most = size;
    if (Number.isNaN(size)) break;
  }
  return most;
}

/** d of a group: what its bytes are multiplied with, before it is rounded to f16. */
const q8Step = (x: Float32Array, begin: number): number =>
  Math.fround(largest(x, begin, Math.min(begin + q8Group, x.length)) / 127);

/** The scales of a row of numbers in q8, as the bits of f16: max |x| / 127 of each group. */
export function q8RowScales(x: Float32Array, scales: Uint16Array): void {
  for (let begin = 0; begin < x.length; begin += q8Group)
    scales[begin / q8Group] = numberToF16(q8Step(x, begin));
}

/**
 * The bytes of a row of numbers in q8, in f32 by ggml's definition (quantize_row_q8_0_ref): with d = max |x| / 127 of the group,
 * x · (1 / d) to the nearest integer, halves away from 0.
 */
export function q8RowBytes(x: Float32Array, bytes: Int8Array): void {
  const bits = new Int32Array(x.buffer, x.byteOffset, x.length);
  for (let begin = 0; begin < x.length; begin += q8Group) {
    const inverse = Math.fround(1 / q8Step(x, begin));
    const factor = inverse < Number.POSITIVE_INFINITY ? inverse : 0;
    const end = Math.min(begin + q8Group, x.length);
    for (let i = begin; i < end; i++) {
      const size = (Math.abs(Math.fround((x[i] as number) * factor)) + 0.5) | 0;
      const sign = (bits[i] as number) >> 31; // a branch on it would be mispredicted every other time
      bytes[i] = (size ^ sign) - sign;
    }
  }
}

/** Rows of `width` numbers rounded to what q8 holds. A group whose scale is not finite becomes NaN. */
export function roundToQ8(x: Float64Array, width: number): Float64Array {
  const rounded = new Float64Array(x.length);
  const bytes = new Int8Array(width);
  const scales = new Uint16Array(q8Scales(width));
  for (let row = 0; row < x.length; row += width) {
    const numbers = Float32Array.from(x.subarray(row, row + width));
    q8RowScales(numbers, scales);
    q8RowBytes(numbers, bytes);
    for (let i = 0; i < width; i++) {
      const scale = f16ToNumber(scales[Math.floor(i / q8Group)] as number);
      rounded[row + i] = Number.isFinite(scale) ? (bytes[i] as number) * scale : Number.NaN;
    }
  }
  return rounded;
}
