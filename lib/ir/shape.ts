import type { DType } from '../dtype.js';
import { TrigaError } from '../errors.js';

/**
 * A size known when the graph is built (number), or at each run: an integer times a product of symbols, in the
 * canonical form `'T'`, `'12*T'`, `'2*B*T'` (symbols in alphabetical order), so that equal sizes are equal strings.
 */
export type Dim = number | string;
export type Shape = readonly Dim[];
/** Sizes of the symbols in one run. */
export type Bindings = Readonly<Record<string, number>>;

/** A graph was built with shapes that do not fit: a bug in a model family or a checkpoint that contradicts its config. */
export class ShapeError extends TrigaError {
  constructor(message: string) {
    super('MODEL_FORMAT', message);
  }
}

function factors(dim: Dim): { coefficient: number; symbols: string[] } {
  if (typeof dim === 'number') return { coefficient: dim, symbols: [] };
  const parts = dim.split('*');
  const head = Number(parts[0]);
  return Number.isNaN(head)
    ? { coefficient: 1, symbols: parts }
    : { coefficient: head, symbols: parts.slice(1) };
}

function canonical(coefficient: number, symbols: readonly string[]): Dim {
  if (symbols.length === 0 || coefficient === 0) return coefficient;
  const product = [...symbols].sort().join('*');
  return coefficient === 1 ? product : `${coefficient}*${product}`;
}

/** a · b. */
export function mulDims(a: Dim, b: Dim): Dim {
  const fa = factors(a);
  const fb = factors(b);
  return canonical(fa.coefficient * fb.coefficient, [...fa.symbols, ...fb.symbols]);
}

/** a / b, where it is exact for every binding; undefined elsewhere. */
export function divDims(a: Dim, b: Dim): Dim | undefined {
  const fa = factors(a);
  const fb = factors(b);
  const symbols = [...fa.symbols];
  for (const s of fb.symbols) {
    const i = symbols.indexOf(s);
    if (i < 0) return undefined;
    symbols.splice(i, 1);
  }
  const q = fa.coefficient / fb.coefficient;
  return Number.isInteger(q) ? canonical(q, symbols) : undefined;
}

/** Number of elements of a shape. */
export const sizeOf = (shape: Shape): Dim => shape.reduce<Dim>(mulDims, 1);

/** The number that `dim` is under `bindings`. Throws {@link ShapeError} for an unbound symbol. */
export function evalDim(dim: Dim, bindings: Bindings): number {
  if (typeof dim === 'number') return dim;
  const { coefficient, symbols } = factors(dim);
  let n = coefficient;
  for (const s of symbols) {
    const size = bindings[s];
    if (size === undefined) throw new ShapeError(`dimension "${dim}": symbol "${s}" has no size in this run`);
    n *= size;
  }
  return n;
}

export const evalShape = (shape: Shape, bindings: Bindings): number[] =>
  shape.map((d) => evalDim(d, bindings));

/** Symbols that a shape names. */
export const symbolsOf = (shape: Shape): string[] => shape.flatMap((d) => factors(d).symbols);

/** A dimension that the op needs as a number. */
export function fixedDim(op: string, what: string, dim: Dim | undefined): number {
  if (typeof dim !== 'number')
    throw new ShapeError(`${op}: expected ${what} to be a fixed size, got ${String(dim)}`);
  return dim;
}

export const showType = (t: { dtype: DType; shape: Shape }): string => `${t.dtype}[${t.shape.join(',')}]`;

/** Checks one operand's shape; `undefined` in `want` accepts any size. Throws {@link ShapeError}. */
export function expectShape(
  op: string,
  what: string,
  got: { dtype: DType; shape: Shape },
  want: readonly (Dim | undefined)[],
): void {
  const same =
    got.shape.length === want.length && want.every((d, i) => d === undefined || d === got.shape[i]);
  if (!same) {
    const shown = want.map((d) => d ?? '?').join(',');
    throw new ShapeError(`${op}: expected ${what} of shape [${shown}], got ${showType(got)}`);
  }
}

/** Shape of an elementwise result, NumPy's broadcasting rule; a symbol only matches itself or 1. */
export function broadcastShapes(op: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i): Dim => {
    const da = a[i - rank + a.length] ?? 1;
    const db = b[i - rank + b.length] ?? 1;
    if (da === db || db === 1) return da;
    if (da === 1) return db;
    throw new ShapeError(`${op}: cannot broadcast [${a.join(',')}] with [${b.join(',')}]`);
  });
}
