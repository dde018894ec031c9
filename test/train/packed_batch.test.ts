import { describe, expect, test } from 'vitest';
import { packRows, windowLength } from '../../lib/train/packed_batch.js';

const ids = (...numbers: number[]): Int32Array => Int32Array.from(numbers);

describe('packRows', () => {
  test('with BOS every id of a window is predicted', () => {
    const rows = [
      { ids: ids(5, 6, 7), starts: [] },
      { ids: ids(8, 9, 10), starts: [] },
    ];
    const { weights, ...batch } = packRows(rows, { bosTokenId: 1, weight: 0.25 });
    expect(batch).toEqual({
      tokens: ids(1, 5, 6, 1, 8, 9),
      positions: ids(0, 1, 2, 0, 1, 2),
      labels: ids(5, 6, 7, 8, 9, 10),
      starts: ids(0, 3, 6),
      count: 6,
    });
    expect([...weights]).toEqual(Array(6).fill(0.25));
  });

  test('without BOS the first id of a window is seen only', () => {
    const batch = packRows([{ ids: ids(5, 6, 7), starts: [] }], { bosTokenId: undefined, weight: 1 });
    expect(batch).toMatchObject({
      tokens: ids(5, 6),
      positions: ids(0, 1),
      labels: ids(6, 7),
      starts: ids(0, 2),
      count: 2,
    });
  });

  test('a document that begins in a window is a sequence, predicted from the separator before it', () => {
    // 0 ends documents; one begins at 7, the third of the window.
    const row = { ids: ids(5, 0, 7, 8), starts: [2] };
    expect(packRows([row], { bosTokenId: 1, weight: 1 })).toMatchObject({
      tokens: ids(1, 5, 0, 7),
      positions: ids(0, 1, 0, 1),
      labels: ids(5, 0, 7, 8),
      starts: ids(0, 2, 4),
    });
    expect(packRows([row], { bosTokenId: undefined, weight: 1 })).toMatchObject({
      tokens: ids(5, 0, 7),
      positions: ids(0, 0, 1),
      labels: ids(0, 7, 8),
      starts: ids(0, 1, 3),
    });
  });

  test.each([undefined, 1])('documents at both ends of a window, BOS %s', (bosTokenId) => {
    const row = { ids: ids(5, 6, 0, 7), starts: [0, 3] };
    const { starts, positions, tokens } = packRows([row], { bosTokenId, weight: 1 });
    expect(starts).toEqual(bosTokenId === undefined ? ids(0, 2, 3) : ids(0, 3, 4));
    expect(positions).toEqual(bosTokenId === undefined ? ids(0, 1, 0) : ids(0, 1, 2, 0));
    expect(tokens.at(-1)).toBe(0);
  });

  test.each([undefined, 1])('windows have what rows of a length want, BOS %s', (bosTokenId) => {
    const length = windowLength(8, bosTokenId);
    const row = { ids: new Int32Array(length).fill(3), starts: [] };
    expect(packRows([row, row], { bosTokenId, weight: 1 }).tokens).toHaveLength(16);
  });
});
