import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StopFilter } from '../../lib/generate/stop.js';

function run(stops: string[], pieces: string[]): { text: string; stopped: boolean } {
  const filter = new StopFilter(stops);
  let text = '';
  for (const piece of pieces) {
    const result = filter.push(piece);
    text += result.text;
    if (result.stopped) return { text, stopped: true };
  }
  return { text: text + filter.flush(), stopped: false };
}

describe('stop strings', () => {
  test.each([
    ['none', [], ['ab', 'c'], 'abc', false],
    ['whole', ['b'], ['abc'], 'a', true],
    ['over pieces', ['\n\n'], ['a\n', '\nb'], 'a', true],
    ['begun and given up', ['END'], ['xEN', 'EN', 'd'], 'xENENd', false],
    ['held to the end', ['END'], ['xEN'], 'xEN', false],
    ['begun twice', ['aab'], ['aa', 'a', 'b'], 'a', true],
    ['first complete wins', ['abcd', 'c'], ['abcd'], 'ab', true],
    ['of those that end together the longest', ['c', 'bc'], ['abc'], 'a', true],
    ['at once', ['a'], ['a'], '', true],
  ])('%s', (_, stops, pieces, text, stopped) => {
    expect(run(stops, pieces)).toEqual({ text, stopped });
  });

  test('shows at once what no stop string can begin with', () => {
    const filter = new StopFilter(['User:']);
    expect(filter.push('Hello Us')).toEqual({ text: 'Hello ', stopped: false });
    expect(filter.push('eful')).toEqual({ text: 'Useful', stopped: false });
    expect(filter.push(' User: hi')).toEqual({ text: ' ', stopped: true });
    expect(filter.push('more')).toEqual({ text: '', stopped: true });
  });

  test('does not depend on where the text is cut', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 12 });
    const stop = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 6 }), fc.array(stop, { maxLength: 3 }), (pieces, stops) => {
        const whole = pieces.join('');
        expect(run(stops, pieces)).toEqual(run(stops, [whole]));
        expect(run(stops, [...whole])).toEqual(run(stops, [whole]));
      }),
    );
  });
});
