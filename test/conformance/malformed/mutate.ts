import { type JsonNode, nodeOf, Raw, writeNode } from './json_text.js';

type Random = () => number;

const below = (random: Random, n: number): number => Math.floor(random() * n);
const pick = <T>(random: Random, items: readonly T[]): T => items[below(random, items.length)] as T;

/** Values that a reader of JSON may not expect. Made when asked for: some are long. */
const strangers: readonly (() => unknown)[] = [
  ...[null, true, false, '', 'x', ' ', '\u0000', '😀', 'constructor', '__proto__', [], {}, [[]], [null], [0]],
  ...[
    0,
    1,
    2,
    3,
    7,
    255,
    256,
    65536,
    0.5,
    1.5,
    2 ** 26,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    1e308,
    1e-320,
  ],
].map((value) => () => value);
const rawStrangers = [
  '-1',
  '-0',
  '1e999',
  '-1e999',
  'NaN',
  '18446744073709551615',
  '"\\ud800"',
  '01',
  '1.',
  '',
];
const longStrangers: readonly (() => unknown)[] = [
  () => 'x'.repeat(100_000),
  () => new Array(10_000).fill(0),
  () => new Raw(`${'['.repeat(50)}${']'.repeat(50)}`),
  () => new Raw(`${'{"a":'.repeat(3000)}0${'}'.repeat(3000)}`),
];

function stranger(random: Random): JsonNode {
  const kind = random();
  if (kind < 0.7) return nodeOf(pick(random, strangers)());
  return nodeOf(kind < 0.9 ? new Raw(pick(random, rawStrangers)) : pick(random, longStrangers)());
}

/** A place in a tree: the container, and which of its children. */
interface Place {
  readonly container: Exclude<JsonNode, { kind: 'text' }>;
  readonly index: number;
}

const sizeOf = (node: JsonNode): number =>
  node.kind === 'text' ? 0 : node.kind === 'list' ? node.items.length : node.entries.length;

/** Goes down from the root, at each level to any child, so that a long vocabulary does not draw all changes to itself. */
function placeIn(random: Random, root: JsonNode): Place | undefined {
  let node = root;
  for (;;) {
    if (node.kind === 'text' || sizeOf(node) === 0) return undefined;
    const index = below(random, sizeOf(node));
    const child = node.kind === 'list' ? node.items[index] : node.entries[index]?.[1];
    if (child === undefined || sizeOf(child) === 0 || random() < 0.35) return { container: node, index };
    node = child;
  }
}

const valueAt = ({ container, index }: Place): JsonNode =>
  (container.kind === 'list' ? container.items[index] : container.entries[index]?.[1]) as JsonNode;

function setValue({ container, index }: Place, value: JsonNode): void {
  if (container.kind === 'list') container.items[index] = value;
  else (container.entries[index] as [string, JsonNode])[1] = value;
}

/** Another text of the same kind: a number moved, a string with a character changed, dropped or added. */
function nudge(random: Random, { text }: { readonly text: string }): JsonNode {
  const value: unknown = text === '' || text === 'NaN' ? undefined : tryParse(text);
  if (typeof value === 'number')
    return nodeOf(pick(random, [value + 1, value - 1, -value, value * 2, value / 2, value * 1e9]));
  if (typeof value !== 'string') return stranger(random);
  const at = below(random, value.length + 1);
  const insert = pick(random, [
    '',
    'a',
    ' ',
    '\u0000',
    '\u0301',
    '\u2581',
    '😀',
    '.',
    '/',
    '*',
    '(',
    ')?',
    '+',
    '\\',
    '|',
  ]);
  return nodeOf(value.slice(0, at) + insert + value.slice(at + below(random, 2)));
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

type Change = (random: Random, place: Place, root: JsonNode) => void;

const changes: readonly Change[] = [
  (random, place) => setValue(place, stranger(random)),
  (random, place) => {
    const node = valueAt(place);
    setValue(place, node.kind === 'text' ? nudge(random, node) : stranger(random));
  },
  (random, place) => {
    const node = valueAt(place);
    setValue(place, node.kind === 'text' ? nudge(random, node) : stranger(random));
  },
  (_, { container, index }) => {
    if (container.kind === 'list') container.items.splice(index, 1);
    else container.entries.splice(index, 1);
  },
  (_, { container, index }) => {
    if (container.kind === 'list') container.items.splice(index, 0, container.items[index] as JsonNode);
    else container.entries.splice(index, 0, container.entries[index] as [string, JsonNode]);
  },
  (random, place, root) => {
    const other = placeIn(random, root);
    if (other) setValue(place, nodeOf(new Raw(writeNode(valueAt(other)))));
  },
  (random, place, root) => {
    const other = placeIn(random, root);
    if (place.container.kind !== 'object' || other?.container.kind !== 'object') return;
    const [key] = other.container.entries[other.index] as [string, JsonNode];
    place.container.entries[place.index] = [key, valueAt(place)];
  },
  (random, place) => {
    const key = pick(random, ['', 'x', 'type', '__proto__', 'constructor', '\u0000']);
    if (place.container.kind === 'object') place.container.entries.push([key, stranger(random)]);
    else place.container.items.push(stranger(random));
  },
  (_, place) => setValue(place, { kind: 'list', items: [valueAt(place)] }),
  (_, { container }) => {
    if (container.kind === 'list') container.items.reverse();
    else container.entries.reverse();
  },
];

/** The text of a JSON value after one to three changes that know its structure. */
export function mutateJson(random: Random, value: unknown): string {
  const root = nodeOf(value);
  for (let left = 1 + below(random, 3); left > 0; left--) {
    const place = placeIn(random, root);
    if (place) pick(random, changes)(random, place, root);
  }
  return writeNode(root);
}

/** Bytes after one to four changes within the first `reach`: bits flipped, bytes cut, put in, repeated or moved. */
export function mutateBytes(random: Random, bytes: Uint8Array, reach = bytes.length): Uint8Array {
  let all = Buffer.from(bytes);
  let end = reach;
  for (let left = 1 + below(random, 4); left > 0; left--) {
    const at = below(random, Math.min(end, all.length) + 1);
    const length = Math.min(1 + below(random, 8), all.length - at);
    const piece = all.subarray(at, at + length);
    const kind = below(random, 7);
    if (kind < 3 && at < all.length) {
      all[at] = (all[at] as number) ^ (1 << below(random, 8));
      continue;
    }
    const inserted = Buffer.from(Array.from({ length: below(random, 9) }, () => below(random, 256)));
    const parts = [
      [all.subarray(0, at), all.subarray(at + length)],
      [all.subarray(0, at), inserted, all.subarray(at)],
      [all.subarray(0, at), piece, piece, all.subarray(at + length)],
      random() < 0.3
        ? [all.subarray(0, at)]
        : [all.subarray(0, at), Buffer.from('0'), all.subarray(at + length)],
    ][Math.max(kind - 3, 0)] as Buffer[];
    end += parts.reduce((n, part) => n + part.length, 0) - all.length;
    all = Buffer.concat(parts);
  }
  return all;
}
