const months = 'January February March April May June July August September October November December'.split(
  ' ',
);
const days = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

/** Python's `date.strftime(format)` in the C locale, for the directives that chat templates use; others stay as they are. */
export function strftime(date: Date, format: string): string {
  const month = months[date.getMonth()] ?? '';
  const day = days[date.getDay()] ?? '';
  const parts: Readonly<Record<string, string | number>> = {
    Y: date.getFullYear(),
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    B: month,
    b: month.slice(0, 3),
    A: day,
    a: day.slice(0, 3),
    H: two(date.getHours()),
    I: two(date.getHours() % 12 || 12),
    p: date.getHours() < 12 ? 'AM' : 'PM',
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    '%': '%',
  };
  return format.replace(/%(.)/g, (all, directive: string) => String(parts[directive] ?? all));
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
