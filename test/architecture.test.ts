import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

// The rooms of lib/ and whom each may import: one way only, the later from the earlier. A room is a folder, or a file
// that lies in lib/ itself. A new arrow is a change of the design: say so in docs/ARCHITECTURE.md.
const base = ['errors', 'dtype', 'tensor'];
const graph = [...base, 'ir', 'ops'];
const run = [...graph, 'passes', 'plan', 'exec', 'weights'];
const language = [...run, 'nn', 'models', 'tokenizers', 'generate'];

const rooms: Record<string, readonly string[]> = {
  errors: [],
  dtype: ['errors'],
  tensor: ['errors', 'dtype'],
  ir: base,
  ops: [...base, 'ir'],
  autodiff: graph,
  passes: graph,
  nn: graph,
  weights: base,
  tokenizers: [...base, 'weights'],
  models: [...graph, 'nn', 'weights'],
  plan: graph,
  onnx: [...graph, 'passes', 'weights'],
  exec: [...graph, 'passes', 'plan', 'weights', 'onnx'],
  generate: [...run, 'onnx', 'nn', 'models', 'tokenizers'],
  image: base,
  diffusion: [...language, 'image'],
  data: [...language, 'image'],
  train: [...language, 'autodiff', 'data'],
  compress: [...language, 'autodiff', 'data', 'train'],
  bench: language,
  serve: ['errors', 'generate', 'tokenizers', 'image', 'diffusion'],
  index: [...language, 'onnx', 'image', 'diffusion', 'data', 'train', 'compress', 'serve'],
  testing: [...language, 'autodiff', 'onnx', 'image', 'diffusion', 'data', 'train', 'compress'],
  cli: ['index', ...language, 'bench', 'onnx', 'image', 'diffusion', 'data', 'train', 'compress', 'serve'],
};

// A package that only these rooms may import; a package that is not here is free.
const packages: Record<string, readonly string[]> = {
  '@bufbuild/protobuf': ['onnx'],
  '@huggingface/hub': ['weights'],
  '@huggingface/jinja': ['tokenizers'],
  commander: ['cli'],
  'node-gyp-build': ['exec'],
  'onnx-buf': ['onnx'],
  'onnxruntime-node': ['exec'],
  sharp: ['image'],
  tokenizers: ['tokenizers'],
};

const root = fileURLToPath(new URL('..', import.meta.url));
const maxLines = 500;

const filesIn = (folder: string, pattern: RegExp): string[] =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => path.posix.join(folder, name.split(path.sep).join('/')))
    .filter((name) => pattern.test(name))
    .sort();
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

interface Source {
  readonly file: string; // 'lib/ir/graph.ts'
  readonly room: string; // 'ir'
  readonly imports: readonly string[]; // files of lib/
  readonly packages: readonly string[];
}

const roomOf = (file: string): string => {
  const [, room = ''] = file.split('/');
  return room.replace(/\.ts$/, '');
};

const sources: Source[] = filesIn('lib', /\.ts$/).map((file) => {
  const names = ts.preProcessFile(read(file), true, true).importedFiles.map(({ fileName }) => fileName);
  const relative = names.filter((name) => name.startsWith('.'));
  return {
    file,
    room: roomOf(file),
    imports: relative.map((name) => path.posix.join(path.posix.dirname(file), name).replace(/\.js$/, '.ts')),
    packages: names
      .filter((name) => !name.startsWith('.') && !name.startsWith('node:'))
      .map((name) => name.match(/^(@[^/]+\/)?[^/]+/)?.[0] ?? name),
  };
});

/** Every cycle that a depth-first walk closes, as 'a → b → a'. */
function cycles(edges: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const walk = (node: string, trail: readonly string[]): void => {
    const start = trail.indexOf(node);
    if (start >= 0) found.push([...trail.slice(start), node].join(' → '));
    if (start >= 0 || done.has(node)) return;
    for (const next of edges.get(node) ?? []) walk(next, [...trail, node]);
    done.add(node);
  };
  for (const node of edges.keys()) walk(node, []);
  return found;
}

describe('lib/', () => {
  test('the table of rooms has no cycle and names only rooms', () => {
    expect(cycles(new Map(Object.entries(rooms)))).toEqual([]);
    const named = Object.values(rooms).flat();
    expect(named.filter((room) => !(room in rooms))).toEqual([]);
  });

  test('every file stands in a room of the table', () => {
    expect(sources.filter(({ room }) => !(room in rooms)).map(({ file }) => file)).toEqual([]);
  });

  test('a room imports only what the table allows', () => {
    const breaches = sources.flatMap(({ file, room, imports }) =>
      imports
        .filter((target) => roomOf(target) !== room && !rooms[room]?.includes(roomOf(target)))
        .map(
          (target) => `${file} imports ${target}: ${room} may import ${rooms[room]?.join(', ') || 'nothing'}`,
        ),
    );
    expect(breaches).toEqual([]);
  });

  test('a file imports only files of lib/', () => {
    const known = new Set(sources.map(({ file }) => file));
    const strangers = sources.flatMap(({ file, imports }) =>
      imports.filter((target) => !known.has(target)).map((target) => `${file} imports ${target}`),
    );
    expect(strangers).toEqual([]);
  });

  test('packages stay in their rooms', () => {
    const breaches = sources.flatMap(({ file, room, packages: names }) =>
      names
        .filter((name) => packages[name] && !packages[name].includes(room))
        .map((name) => `${file} imports ${name}, which belongs to ${packages[name]?.join(', ')}`),
    );
    expect(breaches).toEqual([]);
  });

  test('files do not import one another in a circle', () => {
    expect(cycles(new Map(sources.map(({ file, imports }) => [file, imports])))).toEqual([]);
  });

  test('only index.ts and testing.ts pass on the exports of others', () => {
    const barrels = sources
      .filter(({ room }) => room !== 'index' && room !== 'testing')
      .filter(({ file }) => /^export\s+(type\s+)?(\*|\{[^}]*\})[^;]*?\sfrom\s/m.test(read(file)));
    expect(barrels.map(({ file }) => file)).toEqual([]);
  });
});

describe('size', () => {
  test(`no file is longer than ${maxLines} lines`, () => {
    const files = [
      ...filesIn('lib', /\.ts$/),
      ...filesIn('test', /\.ts$/),
      ...filesIn('scripts', /\.mjs$/),
      ...filesIn('native', /\.(cc|h)$/),
      ...filesIn('kernels', /\.(cc|h|cu|cuh)$/),
    ];
    const lines = files.map((file) => ({ file, lines: read(file).split('\n').length - 1 }));
    expect(lines.filter((entry) => entry.lines > maxLines)).toEqual([]);
  });
});

describe('native code', () => {
  const includes = (file: string): string[] =>
    [...read(file).matchAll(/^[ \t]*#[ \t]*include[ \t]+[<"]([^>"]+)[>"]/gm)].map((match) => match[1] ?? '');

  test('kernels include nothing from native/ or Node', () => {
    const breaches = filesIn('kernels', /\.(cc|h|cu|cuh)$/).flatMap((file) =>
      includes(file)
        .filter((name) => /^(native\/|\.\.|napi|node|js_native_api|uv|v8)/.test(name))
        .map((name) => `${file} includes ${name}`),
    );
    expect(breaches).toEqual([]);
  });

  test('what is compiled once per instruction set includes no C++ library', () => {
    // Inline functions of a library are weak symbols, which the linker would take from any instruction set's object.
    const plain = /^(cstddef|cstdint|cmath|cstring|[a-z]*mmintrin\.h|immintrin\.h|arm_neon\.h)$/;
    const breaches = filesIn('kernels/cpu', /\.(cc|h)$/)
      .filter((file) => !file.endsWith('/dispatch.cc'))
      .flatMap((file) =>
        includes(file)
          .filter((name) => !name.startsWith('kernels/') && !plain.test(name))
          .map((name) => `${file} includes <${name}>`),
      );
    expect(breaches).toEqual([]);
  });

  const table = 'native/addon.cc';
  const types = 'lib/exec/binding.ts';

  test(`the exports of ${table} are the members of Binding in ${types}`, () => {
    const exported = [...read(table).matchAll(/exports\.Set\(\s*"(\w+)"/g)].map((match) => match[1]);
    const declared: string[] = [];
    const file = ts.createSourceFile(types, read(types), ts.ScriptTarget.ES2023, true);
    for (const node of file.statements) {
      if (!ts.isInterfaceDeclaration(node) || node.name.text !== 'Binding') continue;
      for (const member of node.members) if (member.name) declared.push(member.name.getText(file));
    }
    expect(declared).not.toEqual([]);
    expect([...exported].sort()).toEqual(declared.sort());
  });
});
