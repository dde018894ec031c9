/** Logical element types of graph values and checkpoint tensors. */
export type DType = 'f64' | 'f32' | 'f16' | 'bf16' | 'i64' | 'i32' | 'i16' | 'i8' | 'u8' | 'bool';

/** Bytes of one element. */
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

/** The number of that type nearest to x, for the types that weights are stored in; x for others. */
export function roundTo(dtype: DType, x: number): number {
  if (dtype === 'f16') return roundToF16(x);
  if (dtype === 'bf16') return bf16ToNumber(numberToBf16(x));
  return dtype === 'f32' ? Math.fround(x) : x;
}
