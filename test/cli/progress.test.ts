import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { progressLine, terminalProgress } from '../../lib/cli/progress.js';

test('the bar shows the share and fits the terminal', () => {
  expect(progressLine('Loading', 0, 10, 80)).toBe(`Loading  ${'░'.repeat(24)}   0%`);
  expect(progressLine('Loading', 5, 10, 80)).toBe(`Loading  ${'█'.repeat(12)}${'░'.repeat(12)}  50%`);
  expect(progressLine('Loading', 12, 10, 80)).toBe(`Loading  ${'█'.repeat(24)} 100%`);
  expect(progressLine('Loading', 0, 0, 80)).toMatch(/100%$/);
  for (let columns = 0; columns < 60; columns++)
    expect(progressLine('Downloading a_long_name.safetensors', 1, 2, columns).length).toBeLessThan(
      Math.max(columns, 1),
    );
});

test.each([true, false])('it draws on a terminal only: %s', (isTTY) => {
  const stream = Object.assign(new PassThrough().setEncoding('utf8'), { isTTY, columns: 80 });
  const progress = terminalProgress(stream as unknown as NodeJS.WriteStream);
  progress.update('Loading', 1, 3);
  progress.update('Loading', 2, 3); // too soon after the last
  progress.update('Loading', 3, 3);
  progress.clear();
  progress.clear();
  const drawn = (stream.read() as string | null) ?? '';
  const percents = [...drawn.matchAll(/(\d+)%/g)].map(([, percent]) => Number(percent));
  expect(percents).toEqual(isTTY ? [33, 100] : []);
  expect(drawn.endsWith('\r\x1b[K')).toBe(isTTY);
});
