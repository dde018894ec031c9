import { describe, expect, test } from 'vitest';
import { bf16ToNumber, f16ToNumber, q8Group, roundTo, roundToQ8 } from '../lib/dtype.js';

const below = Array.from({ length: 0x7c00 }, (_, bits) => bits); // every finite f16, not negative

test('numbers of a type are what they are rounded to', () => {
  for (const bits of below) {
    expect(roundTo('f16', f16ToNumber(bits))).toBe(f16ToNumber(bits));
    expect(roundTo('f16', -f16ToNumber(bits))).toBe(-f16ToNumber(bits));
  }
  for (let bits = 0; bits < 0x7f80; bits += 13)
    expect(roundTo('bf16', bf16ToNumber(bits))).toBe(bf16ToNumber(bits));
});

test('f16: the nearest, of two equally near the even one', () => {
  for (const bits of below.slice(0, -1)) {
    const [low, high] = [f16ToNumber(bits), f16ToNumber(bits + 1)];
    const [near, far] = [low + (high - low) * 0.375, low + (high - low) * 0.625];
    expect([roundTo('f16', near), roundTo('f16', far)]).toEqual([low, high]);
    expect(roundTo('f16', (low + high) / 2)).toBe(bits % 2 === 0 ? low : high);
  }
  expect([65504, 65519, 65520, -65520].map((x) => roundTo('f16', x))).toEqual([
    65504,
    65504,
    Infinity,
    -Infinity,
  ]);
  expect(roundTo('f16', Number.NaN)).toBeNaN();
});

test('other types', () => {
  expect([roundTo('f32', 0.1), roundTo('f64', 0.1), roundTo('i32', 7)]).toEqual([Math.fround(0.1), 0.1, 7]);
});

describe('q8', () => {
  test('numbers of q8 are what they are rounded to, a short last group too', () => {
    const row = Array.from({ length: 40 }, (_, i) => ((i * 37) % 255) - 127);
    row[0] = -127;
    row[q8Group] = 127; // a scale of 1 in both groups
    const rows = Float64Array.from([...row, ...row.map((x) => x / 4)]);
    expect(roundToQ8(rows, 40)).toEqual(rows);
  });

  test('halves go away from 0', () => {
    expect([...roundToQ8(Float64Array.from([127, 0.5, -0.5, 1.5, 2.5, -2.5, 0.49]), 7)]).toEqual([
      127, 1, -1, 2, 3, -3, 0,
    ]);
  });

  test('the scale is a f16, the rounding goes by the f32 one', () => {
    const [x] = roundToQ8(Float64Array.from([1]), 1);
    expect(x).toBe(127 * roundTo('f16', 1 / 127));
  });

  test('zeros, and what f16 or 1 / d does not hold', () => {
    expect([...roundToQ8(Float64Array.from([0, 0, 1e-40, 1e-41]), 2)].map(Math.abs)).toEqual([0, 0, 0, 0]);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, 127 * 65520])
      expect([...roundToQ8(Float64Array.from([1, bad]), 2)]).toEqual([Number.NaN, Number.NaN]);
    expect(roundToQ8(Float64Array.from([127 * 65504]), 1)[0]).toBe(127 * 65504);
  });
});
