/** One line of a chart. */
export interface Series {
  readonly name: string;
  /** [step, loss], ascending by step. */
  readonly points: readonly (readonly [number, number])[];
}

const width = 800;
const height = 400;
const margin = { left: 60, right: 20, top: 20, bottom: 40 };
const colours = ['#4477aa', '#cc6677', '#228833', '#aa3377'];
/** Points of a line at most: a mean stands for those between. */
const mostPoints = 400;

/** A chart of losses over steps as SVG: the left axis begins below the lowest loss, as losses never come near 0. */
export function lossCurve(series: readonly Series[]): string {
  const drawn = series
    .map(({ name, points }) => ({ name, points: thinned(points.filter(([, y]) => Number.isFinite(y))) }))
    .filter(({ points }) => points.length > 0);
  const all = drawn.flatMap(({ points }) => points);
  const [right, low, high] = [
    Math.max(1, ...all.map(([x]) => x)),
    Math.min(...all.map(([, y]) => y), Number.POSITIVE_INFINITY),
    Math.max(...all.map(([, y]) => y), Number.NEGATIVE_INFINITY),
  ];
  const [bottom, top] = low < high ? [low - (high - low) * 0.05, high] : [low - 1, low + 1];
  const x = (step: number): string =>
    (margin.left + (step / right) * (width - margin.left - margin.right)).toFixed(1);
  const y = (loss: number): string =>
    (margin.top + ((top - loss) / (top - bottom)) * (height - margin.top - margin.bottom)).toFixed(1);
  const ticks = all.length === 0 ? [] : [0, 0.25, 0.5, 0.75, 1];
  const text = (at: string, content: string): string => `<text ${at}>${content}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...ticks.flatMap((share) => {
      const [loss, step] = [bottom + (top - bottom) * share, Math.round(right * share)];
      return [
        `<line x1="${margin.left}" x2="${width - margin.right}" y1="${y(loss)}" y2="${y(loss)}" stroke="#dddddd"/>`,
        text(
          `x="${margin.left - 8}" y="${y(loss)}" text-anchor="end" dominant-baseline="middle"`,
          loss.toFixed(2),
        ),
        text(`x="${x(step)}" y="${height - margin.bottom + 18}" text-anchor="middle"`, String(step)),
      ];
    }),
    text(`x="${width / 2}" y="${height - 6}" text-anchor="middle"`, 'step'),
    text(`x="${margin.left}" y="14"`, 'loss, nats a token'),
    ...drawn.flatMap(({ name, points }, i) => {
      const colour = colours[i % colours.length] ?? '';
      const line = points.map(([step, loss]) => `${x(step)},${y(loss)}`).join(' ');
      const label = `x="${width - margin.right}" y="${margin.top + 16 * (i + 1)}" text-anchor="end" fill="${colour}"`;
      return [
        `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${line}"/>`,
        text(label, name),
      ];
    }),
    '</svg>\n',
  ].join('\n');
}

function thinned(points: Series['points']): Series['points'] {
  const size = Math.ceil(points.length / mostPoints);
  if (size <= 1) return points;
  const means: [number, number][] = [];
  for (let i = 0; i < points.length; i += size) {
    const group = points.slice(i, i + size);
    means.push([
      (group.at(-1) as readonly [number, number])[0],
      group.reduce((sum, [, loss]) => sum + loss, 0) / group.length,
    ]);
  }
  return means;
}
