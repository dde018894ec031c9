import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TrigaError } from '../../lib/errors.js';
import { parseJsonObject, show } from '../../lib/weights/json_file.js';

const parse = (text: string) => parseJsonObject(new TextEncoder().encode(text), 'x.json');

describe('parseJsonObject', () => {
  test('agrees with JSON.parse on every object, however it is spaced', () => {
    const check = (value: Record<string, unknown>, space: number) => {
      const text = JSON.stringify(value, undefined, space);
      expect(parse(text)).toEqual(JSON.parse(text));
    };
    fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })), fc.nat(3), check));
  });

  test('finds a repeated key at any depth, behind any value', () => {
    const check = (value: unknown, key: string, depth: number) => {
      const name = JSON.stringify(key);
      let text = `{"${'z'.repeat(40)}":0,${name}:${JSON.stringify(value)} , ${name} : 0}`;
      for (let i = 0; i < depth; i++) text = i % 2 ? `{"k":${text}}` : `{"k":[[],"\\\\",${text}]}`;
      expect(() => parse(text)).toThrow(/twice in one object/);
    };
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 3 }), fc.string(), fc.nat(5), check));
  });

  test('is not misled by equal keys of different objects, nor by strings that look like keys', () => {
    expect(() =>
      parse('{"a":{"a":1},"b":[{"a":1},{"a":2}],"c":"\\"a\\":","d":"a","e":["a","a"]}'),
    ).not.toThrow();
  });

  test('gives a TrigaError or an object for any text', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      '\\',
      ':',
      ',',
      'a',
      '1',
      ' ',
      'null',
      '"a"',
      '\u0000',
      '\ud800',
    );
    const check = (parts: string[]) => {
      try {
        expect(typeof parse(parts.join(''))).toBe('object');
      } catch (error) {
        expect(error).toBeInstanceOf(TrigaError);
      }
    };
    fc.assert(fc.property(fc.array(pieces, { maxLength: 40 }), check), { numRuns: 3000 });
  });

  test('takes no byte order mark, and no more depth or values than allowed', () => {
    expect(() => parse('\ufeff{}')).toThrow(/x.json: expected JSON/);
    expect(() => parse(`{"a":${'['.repeat(63)}${']'.repeat(63)}}`)).not.toThrow();
    expect(() => parse(`{"a":${'['.repeat(64)}${']'.repeat(64)}}`)).toThrow(/64 levels/);
  });

  test('takes time in proportion to the text', () => {
    const text = `{"a":"${'\\"'.repeat(2_000_000)}","b":"${'\\\\'.repeat(2_000_000)}"}`;
    const start = performance.now();
    parse(text);
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

test('show cuts what is long and keeps what is short', () => {
  expect(show('a"b')).toBe('"a\\"b"');
  expect(show([1, -0.5, null, {}])).toBe('[1, -0.5, null, an object with 0 keys]');
  expect(show('x'.repeat(1000))).toHaveLength(80);
  expect(show(new Array(1000).fill(7)).length).toBeLessThanOrEqual(80);
});
