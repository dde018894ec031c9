// node scripts/ops_table.mjs [--check]: writes docs/OPS.md from the ops themselves: what each has on each device, and why not.
// With --check it writes nothing, and fails if the file would change or a primitive lacks something without a reason.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cpuExclusions, cpuLowerings } from '../dist/exec/cpu_lowering.js';
import { allOps } from '../dist/ir/define_op.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const file = path.join(root, 'docs/OPS.md');
const missing = '**missing**';

for (const name of readdirSync(path.join(root, 'dist/ops')).filter((n) => n.endsWith('.js')))
  await import(`../dist/ops/${name}`);

// A kernel is compiled for every level of this list, from one source.
const sources = readFileSync(path.join(root, 'native/sources.gypi'), 'utf8');
const levels = ['isa_x64', 'isa_arm64'].flatMap((name) =>
  JSON.parse(sources.match(new RegExp(`"${name}": (\\[.*?\\])`))?.[1] ?? '[]'),
);
const columns = { scalar: 'scalar', AVX2: 'avx2', 'AVX-512': 'avx512', NEON: 'neon' };

/** @type {string[]} */
const notes = [];
const note = (/** @type {string} */ text) => {
  if (!notes.includes(text)) notes.push(text);
  return `no [${notes.indexOf(text) + 1}]`;
};

function gradient(op) {
  if (typeof op.gradient === 'function') return 'yes';
  if (op.kind === 'composite') return 'composed';
  return op.gradient;
}

function onnx(op) {
  if (typeof op.onnx === 'function') return 'yes';
  if (op.onnx?.excluded) return note(`${op.name}, ONNX: ${op.onnx.excluded}.`);
  return op.kind === 'composite' ? 'composed' : missing;
}

function cpu(op, level) {
  if (Object.hasOwn(cpuLowerings, op.name)) return levels.includes(level) ? 'yes' : missing;
  if (op.kind === 'composite') return 'composed';
  const why = cpuExclusions[op.name];
  return why ? note(`${op.name}, CPU: ${why}.`) : missing;
}

const rows = [...allOps.values()]
  .sort((a, b) => (a.name < b.name ? -1 : 1))
  .map((op) => [
    `\`${op.name}\``,
    op.kind,
    gradient(op),
    onnx(op),
    ...Object.values(columns).map((level) => cpu(op, level)),
  ]);
const head = ['Op', 'Kind', 'Gradient', 'ONNX', ...Object.keys(columns)];
const line = (cells) => `| ${cells.join(' | ')} |`;
const text = `# Ops

Written by \`node scripts/ops_table.mjs\`; a test holds it up to date. **yes**: the op has a form of its own there; **composed**: a
composite runs as its decomposition into the others; **none**: no gradient flows through it. On the CPU a kernel is one source,
compiled for every instruction set; ops without work of their own (views) count as yes.

${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}

${notes.map((text, i) => `[${i + 1}] ${text}`).join('\n\n')}
`;

if (!process.argv.includes('--check')) writeFileSync(file, text);
else if (text.includes(missing))
  fail(
    `a primitive lacks something without a reason:\n${rows
      .filter((r) => r.includes(missing))
      .map(line)
      .join('\n')}`,
  );
else if (readFileSync(file, 'utf8') !== text)
  fail('docs/OPS.md is out of date: run "node scripts/ops_table.mjs"');

function fail(/** @type {string} */ message) {
  console.error(message);
  process.exitCode = 1;
}
