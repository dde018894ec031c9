import { expect, test } from 'vitest';
import { bf16ToNumber, f16ToNumber, roundTo } from '../lib/dtype.js';

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
