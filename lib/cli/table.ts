export type Rows = readonly (readonly [string, string])[];

/** A title and an indented table. */
export function section(title: string, rows: Rows): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return [title, ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`)].join('\n');
}

/** A size in the largest binary unit that leaves at least 1. */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = count < 1 ? 0 : Math.min(Math.floor(Math.log2(count) / 10), units.length - 1);
  const value = count / 1024 ** power;
  return `${power === 0 ? Math.round(value) : value.toPrecision(value >= 1000 ? 4 : 3)} ${units[power]}`;
}

/** Three digits, or all those before the point. */
export const figure = (value: number): string =>
  Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)));

export const percent = (share: number): string => `${figure(share * 100)}%`;
