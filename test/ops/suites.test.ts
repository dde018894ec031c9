import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { cpuExclusions } from '../../lib/exec/cpu_lowering.js';
import { allOps, opNamed } from '../../lib/ir/define_op.js';
import { verify } from '../../lib/ir/verify.js';
import { decompose } from '../../lib/passes/decompose.js';
import { optimize } from '../../lib/passes/pipeline.js';
import type { Tensor } from '../../lib/tensor.js';
import {
  cpuPlaces,
  differences,
  onnx,
  type Place,
  type Program,
  programOf,
  reference,
  roundsToBF16,
  run,
  runAll,
} from '../replay.js';
import { suites } from '../suites/all.js';
import type { Sample } from '../suites/suite.js';

const training = [...allOps.values()]
  .filter((op) => op.onnx && 'excluded' in op.onnx && /^training/.test(op.onnx.excluded))
  .map(({ name }) => name);

/** What a device does not run: ops, and of those that it has, samples. */
const lacks: Readonly<Record<string, { readonly ops: readonly string[]; readonly samples: RegExp }>> = {
  cpu: { ops: Object.keys(cpuExclusions), samples: /^$/ },
  // Training is the CPU's, states in rows with it; Attention wants a query at least, ReduceMax passes over NaN, and MatMul leaves sums
  // over nothing as they lie in memory.
  onnx: {
    ops: training,
    samples: /^(no rows, causal, .*|max with a NaN|.*state.*|\[3,T,5\]ᵀ by .*, T 0)$/,
  },
};

const ops = Object.keys(suites);
const tolerance = 1e-5;
/** Where bf16 weights meet activations rounded to bf16. */
const dotTolerance = 1e-2;

/** onnxruntime sums a quantized row, products of up to 2^14, in f32. */
const bytesTolerance = 1e-3;

const toleranceOf = (sample: Sample, place: Place): number => {
  const bytes = place.device === 'onnx' && Object.values(sample.inputs).some((i) => i.dtype === 'q8');
  if (bytes) return bytesTolerance;
  if (sample.attrs.compute === 'bf16' && place.device === 'cpu' && !roundsToBF16(place)) return dotTolerance;
  const dot = roundsToBF16(place) && Object.values(sample.inputs).some((i) => i.dtype === 'bf16');
  return dot ? dotTolerance : (sample.tolerance ?? tolerance);
};

const known = new Map<Sample, Promise<Record<string, Tensor>>>();
/** The outputs by definition; of a composite, its decomposition's. */
function wanted(op: string, sample: Sample): Promise<Record<string, Tensor>> {
  const result = known.get(sample) ?? run(programOf(op, sample), reference);
  known.set(sample, result);
  return result;
}

/** Runs a suite somewhere and returns what is wrong, by sample. */
async function replay(
  op: string,
  place: Place,
  change: (program: Program) => Program = (p) => p,
): Promise<string[]> {
  const samples = (suites[op] ?? []).filter(({ name }) => !lacks[place.device]?.samples.test(name));
  const results = await runAll(
    samples.map((sample) => change(programOf(op, sample))),
    place,
  );
  const failures: string[] = [];
  for (const [i, sample] of samples.entries()) {
    const got = results[i] as (typeof results)[number];
    const want = await wanted(op, sample);
    const wrong =
      typeof got === 'string' ? [got] : differences(got, want, toleranceOf(sample, place), sample.steps);
    failures.push(...wrong.map((what) => `${sample.name}: ${what}`));
  }
  return failures;
}

/** The program with `op` in simpler ops, and what it is made of as outputs, so that no pass puts the op together again. */
function decomposed(op: string, { graph, feed }: Program): Program {
  const simple = decompose(graph, (node) => node.op !== op);
  for (const [i, node] of simple.nodes.entries()) {
    const fusible = ['linear', 'quantized_linear', 'matmul', 'rms_norm', 'layer_norm'].includes(node.op);
    if (fusible && node.outputs.y && ![...simple.outputs.values()].includes(node.outputs.y))
      simple.output(`${node.op} ${i}`, node.outputs.y);
  }
  return { graph: simple, feed };
}

test('every op of lib/ops has samples, and no two of a suite one name', () => {
  const folder = new URL('../../lib/ops/', import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
  const declared = files.flatMap((name) => {
    const text = readFileSync(new URL(name, folder), 'utf8');
    return text.includes('defineOp({') ? [text.match(/^ {2}name: '(\w+)'/m)?.[1]] : [];
  });
  expect([...declared].sort()).toEqual([...ops].sort());
  expect([...allOps.keys()].sort()).toEqual([...ops].sort());
  for (const [op, samples] of Object.entries(suites)) {
    const names = samples.map((s) => s.name);
    expect(
      names.filter((name, i) => names.indexOf(name) !== i),
      op,
    ).toEqual([]);
  }
});

test.each(ops)('the graphs of %s are legal after each pass', (op) => {
  for (const sample of suites[op] ?? []) {
    const { graph } = programOf(op, sample);
    optimize(graph, verify);
    verify(decompose(graph, () => false));
  }
});

describe.each([onnx, ...cpuPlaces])('$name', (place) => {
  const has = ops.filter((op) => !lacks[place.device]?.ops.includes(op));
  test.each(has)('%s', async (op) => {
    expect(await replay(op, place)).toEqual([]);
  });

  // Where a composite has no form of its own, its decomposition is what ran above.
  const whole = has.filter(
    (op) => opNamed(op).kind === 'composite' && (place.device === 'cpu' || opNamed(op).onnx),
  );
  test.each(whole)('%s in simpler ops', async (op) => {
    expect(await replay(op, place, (program) => decomposed(op, program))).toEqual([]);
  });
});
