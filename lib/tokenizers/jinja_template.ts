import { Environment, Interpreter, Template } from '@huggingface/jinja';
import { expandRawBlocks } from './expand_raw_blocks.js';
import { type JinjaValue, pythonText } from './python_text.js';
import { strftime } from './strftime.js';

interface SyntaxNode {
  type: string;
  [key: string]: unknown;
}

const statements: ReadonlySet<string> = new Set([
  'Program',
  'If',
  'For',
  'Break',
  'Continue',
  'Set',
  'Macro',
  'Comment',
  'CallStatement',
  'FilterStatement',
]);

/** A name that no template can write. */
const formatName = 'filter format';

/**
 * A Jinja2 template as `transformers` compiles it (`trim_blocks`, `lstrip_blocks`): `@huggingface/jinja` and what it lacks,
 * raw blocks, the `format` filter, and printing values as Python does. The constructor throws on syntax errors, `render`
 * on what the template raises.
 */
export class JinjaTemplate {
  readonly #program: unknown;
  readonly #printed = new Set<unknown>();

  constructor(source: string) {
    this.#program = new Template(expandRawBlocks(source)).parsed;
    prepare(this.#program, this.#printed);
  }

  render(variables: Readonly<Record<string, unknown>>): string {
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...globals, ...variables })) environment.set(name, value);
    return String(new PrintingInterpreter(environment, this.#printed).run(this.#program).value);
  }
}

/** The package's declarations do not reach TypeScript's `nodenext` resolution: they import without file endings. */
const BaseInterpreter = Interpreter as unknown as new (
  environment: unknown,
) => {
  run(program: unknown): JinjaValue;
  evaluate(node: unknown, environment: unknown): JinjaValue;
};

/** Gives the nodes that print their value as the text that Python would print. */
class PrintingInterpreter extends BaseInterpreter {
  readonly #printed: ReadonlySet<unknown>;

  constructor(environment: unknown, printed: ReadonlySet<unknown>) {
    super(environment);
    this.#printed = printed;
  }

  override evaluate(node: unknown, environment: unknown): JinjaValue {
    const value = super.evaluate(node, environment);
    if (!this.#printed.has(node)) return value;
    const text = pythonText(value);
    return { type: 'StringValue', value: text, toString: () => text };
  }
}

const globals: Readonly<Record<string, unknown>> = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range,
  raise_exception: (message: unknown) => {
    throw new Error(String(message));
  },
  strftime_now: (format: string) => strftime(new Date(), format),
  [formatName]: formatPercent,
};

/**
 * Collects the expressions that stand as statements, which are those printed, and turns each `spec | format(args)` into
 * a call of `format(spec, args)`, in place.
 */
function prepare(value: unknown, printed: Set<unknown>): void {
  if (typeof value !== 'object' || value === null) return;
  for (const child of value instanceof Map ? value.values() : Object.values(value)) prepare(child, printed);
  const node = value as SyntaxNode;
  for (const block of [node.body, node.alternate, node.defaultBlock]) {
    if (!Array.isArray(block)) continue;
    for (const child of block as SyntaxNode[]) if (!statements.has(child.type)) printed.add(child);
  }
  const filter = node.filter as SyntaxNode | undefined;
  const callee = filter?.callee as SyntaxNode | undefined;
  if (node.type !== 'FilterExpression' || callee?.value !== 'format') return;
  const args = [node.operand, ...((filter?.args as unknown[] | undefined) ?? [])];
  Object.assign(node, { type: 'CallExpression', callee: { ...callee, value: formatName }, args });
}

function range(first: number, end?: number, step = 1): number[] {
  const [start, stop] = end === undefined ? [0, first] : [first, end];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= 100_000)) throw new Error(`range: expected at most 100000 numbers, got ${length}`);
  return Array.from({ length }, (_, i) => start + i * step);
}

/** Python's `spec % args` for %s, %d, %i, %f with a precision, and %%. */
function formatPercent(spec: string, ...args: unknown[]): string {
  let next = 0;
  return spec.replace(/%(?:\.(\d+))?(.)/gs, (all, precision: string | undefined, kind: string) => {
    if (kind === '%') return '%';
    if (!'sdif'.includes(kind)) throw new Error(`format: expected %s, %d, %i, %f or %%, got ${all}`);
    if (next >= args.length)
      throw new Error(`format: expected more than ${args.length} arguments for '${spec}'`);
    const value = args[next++];
    if (kind === 'f') return Number(value).toFixed(Number(precision ?? 6));
    if (kind !== 's') return String(Math.trunc(Number(value)));
    return String(value).slice(0, precision === undefined ? undefined : Number(precision));
  });
}
