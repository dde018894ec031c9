/** Text that stands in a JSON file as it is: `1e999`, `-0`, a key twice, what is no JSON at all. */
export class Raw {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Json = { readonly [key: string]: unknown };

/** JSON as a tree to be changed in place. An object may have a key twice. */
export type JsonNode =
  | { readonly kind: 'object'; readonly entries: [key: string, value: JsonNode][] }
  | { readonly kind: 'list'; readonly items: JsonNode[] }
  | { readonly kind: 'text'; readonly text: string };

/** The tree of a JSON value that may hold {@link Raw}. */
export function nodeOf(value: unknown): JsonNode {
  if (value instanceof Raw) return { kind: 'text', text: value.text };
  if (Array.isArray(value)) return { kind: 'list', items: value.map(nodeOf) };
  if (typeof value !== 'object' || value === null) return { kind: 'text', text: JSON.stringify(value) };
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  return { kind: 'object', entries: entries.map(([k, v]) => [k, nodeOf(v)]) };
}

export function writeNode(node: JsonNode): string {
  if (node.kind === 'text') return node.text;
  if (node.kind === 'list') return `[${node.items.map(writeNode).join(',')}]`;
  return `{${node.entries.map(([k, v]) => `${JSON.stringify(k)}:${writeNode(v)}`).join(',')}}`;
}

export const jsonText = (value: unknown): string => writeNode(nodeOf(value));

/** A copy with the value at a path (`model.vocab`; indices of lists are keys) put there; undefined takes it away. */
export function put(root: unknown, path: string | readonly string[], value: unknown): unknown {
  const [key, ...rest] = typeof path === 'string' ? path.split('.') : path;
  if (key === undefined) return value;
  if (Array.isArray(root)) return root.map((item, i) => (String(i) === key ? put(item, rest, value) : item));
  const object = (root ?? {}) as Json;
  return { ...object, [key]: put(object[key], rest, value) };
}
