import { describe, expect, test } from 'vitest';
import { type AttentionOperands, type Int8GemmOperands, kernels } from '../../lib/index.js';
import { availableIsas } from '../../lib/testing.js';
import { generator } from '../random.js';
import { withIsa } from '../with_isa.js';

const next = generator(5);
const floats = (n: number): Float32Array => Float32Array.from({ length: n }, () => 2 * next() - 1);
/** A third of them at the end of the range. */
const bytes = (n: number): Int8Array =>
  Int8Array.from({ length: n }, () => (next() < 0.3 ? -128 : Math.floor(256 * next()) - 128));
const norm = (x: ArrayLike<number>): number => Math.hypot(...Array.from(x));
const relative = (got: ArrayLike<number>, want: readonly number[]): number =>
  norm(want.map((w, i) => (got[i] as number) - w)) / (norm(want) || 1);

function gemm(m: number, n: number, k: number, groupSize: number): Int8GemmOperands {
  const groups = Math.ceil(k / groupSize);
  return {
    a: bytes(m * k),
    b: bytes(n * k),
    m,
    n,
    k,
    aScale: floats(m),
    bScale: floats(n * groups),
    groupSize,
  };
}

/** The definition, in float64. */
function product({ a, b, m, n, k, aScale, bScale, groupSize }: Int8GemmOperands): number[] {
  const groups = Math.ceil(k / groupSize);
  return Array.from({ length: m * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    let sum = 0;
    for (let p = 0; p < k; p++) {
      const scale = bScale[j * groups + Math.floor(p / groupSize)] as number;
      sum += scale * (a[i * k + p] as number) * (b[j * k + p] as number);
    }
    return sum * (aScale[i] as number);
  });
}

interface Shape {
  readonly rows: number;
  readonly keys: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

const attention = (s: Shape, causal: boolean, window: number | null): AttentionOperands => ({
  q: floats(s.rows * s.heads * s.headDim),
  k: floats(s.keys * s.kvHeads * s.headDim),
  v: floats(s.keys * s.kvHeads * s.headDim),
  heads: s.heads,
  kvHeads: s.kvHeads,
  headDim: s.headDim,
  causal,
  window,
});

/** The definition, in float64. */
function attended({ q, k, v, heads, kvHeads, headDim, causal, window }: AttentionOperands): number[] {
  const rows = q.length / (heads * headDim);
  const keys = k.length / (kvHeads * headDim);
  const out: number[] = [];
  for (let t = 0; t < rows; t++) {
    for (let h = 0; h < heads; h++) {
      const kv = Math.floor((h * kvHeads) / heads);
      const at = keys - rows + t;
      const seen = Array.from({ length: keys }, (_, j) => j).filter(
        (j) => (!causal || j <= at) && (window === null || at - j < window),
      );
      const dot = (j: number): number =>
        Array.from({ length: headDim }, (_, d) => d).reduce(
          (sum, d) =>
            sum +
            (q[(t * heads + h) * headDim + d] as number) * (k[(j * kvHeads + kv) * headDim + d] as number),
          0,
        );
      const weights = seen.map((j) => Math.exp(dot(j) / Math.sqrt(headDim)));
      const total = weights.reduce((a, b) => a + b, 0);
      for (let d = 0; d < headDim; d++)
        out.push(
          seen.reduce(
            (sum, j, i) =>
              sum + ((weights[i] as number) / total) * (v[(j * kvHeads + kv) * headDim + d] as number),
            0,
          ),
        );
    }
  }
  return out;
}

describe.each(availableIsas())('kernels on %s', (isa) => {
  test.each([
    [1, 1, 1, 32],
    [1, 64, 256, 32],
    [3, 17, 40, 32],
    [13, 37, 100, 7],
    [20, 50, 96, 96],
    [5, 16, 64, 1000],
    [2, 3, 70_000, 50_000],
    [40, 33, 64, 1],
  ])('int8Gemm: m %d, n %d, k %d, groups of %d', (m, n, k, groupSize) =>
    withIsa(isa, () => {
      const operands = gemm(m, n, k, groupSize);
      expect(relative(kernels.int8Gemm(operands), product(operands))).toBeLessThan(1e-5);
    }),
  );

  test.each([
    [{ rows: 5, keys: 5, heads: 4, kvHeads: 4, headDim: 16 }, true, null],
    [{ rows: 1, keys: 100, heads: 6, kvHeads: 2, headDim: 24 }, true, null],
    [{ rows: 70, keys: 150, heads: 2, kvHeads: 1, headDim: 64 }, true, 33],
    [{ rows: 9, keys: 130, heads: 2, kvHeads: 2, headDim: 7 }, false, null],
    [{ rows: 30, keys: 30, heads: 3, kvHeads: 1, headDim: 8 }, false, 4],
    [{ rows: 20, keys: 6, heads: 2, kvHeads: 2, headDim: 8 }, false, null],
    [{ rows: 20, keys: 6, heads: 2, kvHeads: 2, headDim: 8 }, true, 3],
  ] as const)('attention: %j, causal %s, window %s', (shape, causal, window) =>
    withIsa(isa, () => {
      const operands = attention(shape, causal, window);
      const got = kernels.attention(operands);
      expect(got).toHaveLength(operands.q.length);
      expect(relative(got, attended(operands))).toBeLessThan(2e-6);
    }),
  );
});

test('nothing to multiply, nobody to ask, nothing to see', () => {
  expect(kernels.int8Gemm(gemm(0, 3, 8, 4))).toEqual(new Float32Array());
  expect(kernels.int8Gemm(gemm(2, 3, 0, 4))).toEqual(new Float32Array(6));
  const shape = { heads: 2, kvHeads: 1, headDim: 4 };
  expect(kernels.attention(attention({ rows: 0, keys: 3, ...shape }, true, null))).toEqual(
    new Float32Array(),
  );
  expect(kernels.attention(attention({ rows: 1, keys: 0, ...shape }, true, null))).toEqual(
    new Float32Array(8),
  );
});

describe('operands that do not fit', () => {
  const g = gemm(2, 3, 64, 32);
  test.each<[Partial<Record<keyof Int8GemmOperands, unknown>>, RegExp]>([
    [{ a: new Int8Array(127) }, /expected a of \[2, 64\], 128 numbers, got 127/],
    [{ b: new Int8Array(193) }, /expected b of \[3, 64\]/],
    [{ aScale: new Float32Array(3) }, /expected aScale of \[2\]/],
    [{ bScale: new Float32Array(3) }, /expected bScale of \[3, 2\], 6 numbers, got 3/],
    [{ a: new Uint8Array(128) }, /expected a to be a Int8Array/],
    [{ a: new Int8Array(new SharedArrayBuffer(128)) }, /not shared/],
    [{ m: -2 }, /expected m to be an integer from 0/],
    [{ n: 2.5 }, /expected n to be an integer/],
    [{ k: '64' }, /expected k to be an integer/],
    [{ groupSize: 0 }, /expected groupSize to be an integer from 1/],
    [{ k: 70_000, groupSize: 70_000 }, /expected groupSize of at most 65536/],
  ])('int8Gemm %#', (wrong, message) => {
    const call = () => kernels.int8Gemm({ ...g, ...wrong } as Int8GemmOperands);
    expect(call).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(call).toThrow(message);
  });

  const a = attention({ rows: 4, keys: 6, heads: 4, kvHeads: 2, headDim: 8 }, true, null);
  test.each<[Partial<Record<keyof AttentionOperands, unknown>>, RegExp]>([
    [{ q: new Float32Array(33) }, /expected q to have whole rows of 32 numbers, got 33/],
    [{ v: new Float32Array(16) }, /expected v of \[6, 2, 8\]/],
    [{ kvHeads: 3 }, /expected heads to be a multiple of kvHeads 3, got 4/],
    [{ headDim: 0 }, /expected headDim to be an integer from 1/],
    [{ causal: 1 }, /expected causal to be true or false/],
    [{ window: 0 }, /expected window to be an integer from 1/],
    [{ window: undefined }, /expected window to be an integer from 1/],
    [{ k: null }, /expected k to be a Float32Array/],
  ])('attention %#', (wrong, message) => {
    const call = () => kernels.attention({ ...a, ...wrong } as AttentionOperands);
    expect(call).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(call).toThrow(message);
  });

  test('no operands', () => {
    expect(() => kernels.int8Gemm(null as never)).toThrow(/expected an object of operands/);
  });
});
