import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Bindings,
  broadcastShapes,
  type Dim,
  divDims,
  evalDim,
  evalShape,
  expectShape,
  fixedDim,
  mulDims,
  ShapeError,
  sizeOf,
  symbolsOf,
} from '../../lib/ir/shape.js';

const symbols = ['B', 'MB', 'S', 'T'];
const symbol = fc.constantFrom(...symbols);
const bindings: fc.Arbitrary<Bindings> = fc.record(
  Object.fromEntries(symbols.map((s) => [s, fc.integer({ min: 0, max: 40 })])),
);
/** Sizes as the functions make them: products of numbers and symbols. */
const dim: fc.Arbitrary<Dim> = fc
  .tuple(fc.integer({ min: 1, max: 60 }), fc.array(symbol, { maxLength: 3 }))
  .map(([n, names]) => names.reduce<Dim>(mulDims, n));

describe('sizes', () => {
  test('have one form', () => {
    expect(mulDims('T', 'B')).toBe('B*T');
    expect(mulDims(mulDims('T', 3), mulDims(4, 'B'))).toBe('12*B*T');
    expect(mulDims('T', 1)).toBe('T');
    expect(mulDims('T', 0)).toBe(0);
    expect(mulDims('T', 'T')).toBe('T*T');
    expect(sizeOf([])).toBe(1);
    expect(sizeOf(['T', 2, 'B', 3])).toBe('6*B*T');
  });

  test('are divided where that is exact for every run', () => {
    expect(divDims('12*B*T', '4*T')).toBe('3*B');
    expect(divDims('12*T', 'T')).toBe(12);
    expect(divDims('12*T', 5)).toBeUndefined();
    expect(divDims('T', 'B')).toBeUndefined();
    expect(divDims(6, 'T')).toBeUndefined();
  });

  test('a product is commutative, associative and what its numbers say', () => {
    fc.assert(
      fc.property(dim, dim, dim, bindings, (a, b, c, sizes) => {
        expect(mulDims(a, b)).toBe(mulDims(b, a));
        expect(mulDims(mulDims(a, b), c)).toBe(mulDims(a, mulDims(b, c)));
        expect(evalDim(mulDims(a, b), sizes)).toBe(evalDim(a, sizes) * evalDim(b, sizes));
      }),
    );
  });

  test('a quotient times the divisor is the dividend', () => {
    fc.assert(
      fc.property(dim, dim, (a, b) => {
        expect(divDims(mulDims(a, b), b)).toBe(a);
        const q = divDims(a, b);
        if (q !== undefined) expect(mulDims(q, b)).toBe(a);
      }),
    );
  });

  test('name the symbols that a run must bind', () => {
    expect(symbolsOf(['12*B*T', 3, 'S'])).toEqual(['B', 'T', 'S']);
    expect(evalShape(['2*T', 5], { T: 4 })).toEqual([8, 5]);
    expect(() => evalDim('2*T', { B: 1 })).toThrow(/symbol "T" has no size/);
    expect(() => fixedDim('op', 'the width', 'T')).toThrow(
      'op: expected the width to be a fixed size, got T',
    );
    expect(fixedDim('op', 'the width', 3)).toBe(3);
  });
});

describe('shapes', () => {
  test('broadcast as in NumPy; a symbol only matches itself or 1', () => {
    expect(broadcastShapes('add', ['T', 3], [3])).toEqual(['T', 3]);
    expect(broadcastShapes('add', ['T', 1], [1, 4])).toEqual(['T', 4]);
    expect(broadcastShapes('add', [], ['T'])).toEqual(['T']);
    expect(() => broadcastShapes('add', ['T'], ['B'])).toThrow('add: cannot broadcast [T] with [B]');
    expect(() => broadcastShapes('add', ['T'], [4])).toThrow(ShapeError);
    expect(() => broadcastShapes('add', [2, 3], [3, 2])).toThrow(ShapeError);
  });

  test('broadcasting is symmetric, has the longer rank, and is idempotent', () => {
    const pair = fc
      .array(fc.tuple(dim, fc.constantFrom('both', 'left', 'right')), { maxLength: 4 })
      .map((axes) => [
        axes.map(([d, who]) => (who === 'right' ? 1 : d)),
        axes.map(([d, who]) => (who === 'left' ? 1 : d)),
        axes.map(([d]) => d),
      ]);
    fc.assert(
      fc.property(pair, fc.nat(4), ([a = [], b = [], want = []], drop) => {
        expect(broadcastShapes('f', a, b)).toEqual(want);
        expect(broadcastShapes('f', b, a)).toEqual(want);
        expect(broadcastShapes('f', want, b)).toEqual(want);
        const tail = want.slice(Math.min(drop, want.length));
        expect(broadcastShapes('f', want, tail)).toEqual(want);
      }),
    );
  });

  test('an operand of another shape is told of by name', () => {
    const got = { dtype: 'f32', shape: ['T', 4] } as const;
    expect(() => {
      expectShape('op', 'x', got, ['T', undefined]);
    }).not.toThrow();
    expect(() => {
      expectShape('op', 'x', got, ['T', 5]);
    }).toThrow('op: expected x of shape [T,5], got f32[T,4]');
    expect(() => {
      expectShape('op', 'x', got, [undefined]);
    }).toThrow('op: expected x of shape [?], got f32[T,4]');
  });
});
