import { describe, expect, test } from 'vitest';
import { lowerForCpu } from '../../lib/exec/cpu.js';
import { Graph } from '../../lib/ir/graph.js';
import { verify } from '../../lib/ir/verify.js';
import { add, mul } from '../../lib/ops/binary.js';
import { linear } from '../../lib/ops/linear.js';
import { reshape } from '../../lib/ops/reshape.js';
import { unary } from '../../lib/ops/unary.js';
import { encodePlans, type Plan, paramKey, sources } from '../../lib/plan/encode.js';
import { lifetimes } from '../../lib/plan/lifetimes.js';
import { ownOutputs } from '../../lib/plan/own_outputs.js';
import { storageRoots } from '../../lib/plan/storage.js';

async function planOf(graph: Graph, capacities: Record<string, number>, bf16Dot = false): Promise<Plan> {
  const { graph: lowered, calls } = await lowerForCpu(graph, { bf16Dot });
  return encodePlans(lowered, calls).sizedFor(capacities);
}

/** exp(−x), reshaped, plus a parameter, plus itself. */
function chain(): Graph {
  const g = new Graph();
  const x = g.input('x', 'f32', ['T', 12]);
  const a = unary('exp', unary('neg', x));
  const b = add(reshape(a, ['T', 3, 4]), g.param('p', 'f32', [4]));
  g.output('y', mul(b, reshape(a, ['T', 3, 4])));
  return g;
}

describe('lifetimes', () => {
  test('a view lives in the memory that it looks at, from its making to its last reader', async () => {
    const { graph, calls } = await lowerForCpu(chain(), { bf16Dot: false });
    const roots = storageRoots(graph);
    const found = lifetimes(calls, (v) => roots.get(v) ?? v).map(({ value, first, last }) => [
      value.name,
      first,
      last,
    ]);
    expect(found).toEqual([
      ['x', 0, 0],
      ['unary.y', 0, 1],
      ['unary.y', 1, 3],
      ['p', 2, 2],
      ['binary.y', 2, 3],
      ['binary.y', 3, 3],
    ]);
  });
});

describe('encode', () => {
  test('operands are values with a source, an address and sizes', async () => {
    const plan = await planOf(chain(), { T: 8 });
    expect(plan.steps.map((s) => s.kernel)).toEqual(['unary', 'unary', 'binary', 'binary']);
    expect([plan.slots, plan.capacities]).toEqual([['T'], [8]]);
    expect([plan.inputs.map((v) => v.name), plan.outputs.map((o) => o.name)]).toEqual([['x'], ['y']]);
    const values = (i: number): unknown[] => (plan.steps[i]?.inputs ?? []).map((v) => plan.values[v]);
    expect(values(0)).toEqual([{ source: sources.input, at: 0, dtype: 'f32', dims: [-1, 12] }]);
    expect(values(2)).toMatchObject([
      { source: sources.arena, dims: [-1, 3, 4] },
      { source: sources.param, at: 0, dims: [4] },
    ]);
    const y = plan.steps[3]?.outputs[0] as number;
    expect(plan.values[y]).toEqual({ source: sources.output, at: 0, dtype: 'f32', dims: [-1, 3, 4] });
    // Two blocks of 8 · 12 numbers are in use at once.
    expect(plan.arenaBytes).toBe(2 * 8 * 12 * 4);
  });

  test('the arena depends on the symbols of what lies in it alone', async () => {
    const g = new Graph();
    g.output('y', unary('exp', g.input('x', 'f32', ['T', 'B'])));
    const { graph, calls } = await lowerForCpu(g, { bf16Dot: false });
    const plans = encodePlans(graph, calls);
    expect(plans.symbols).toEqual([]);
    const plan = plans.sizedFor({});
    expect(plan).toMatchObject({ arenaBytes: 0, slots: ['T', 'B'], capacities: [2 ** 31 - 1, 2 ** 31 - 1] });
    const { graph: two, calls: steps } = await lowerForCpu(chain(), { bf16Dot: false });
    expect(encodePlans(two, steps).symbols).toEqual(['T']);
  });

  test('a parameter in two layouts is two, of tied weights one; rounded activations get room', async () => {
    const g = new Graph();
    const w = g.param('w', 'bf16', [5, 5]);
    const y = linear(linear(g.input('x', 'f32', ['T', 5]), w), w);
    g.output('y', y);
    g.output('w', unary('neg', w));
    const keys = (await planOf(g, { T: 1 })).params.map(paramKey);
    expect(keys).toEqual(['panels(w:bf16)', 'vector(w:bf16)']);
    const plan = await planOf(g, { T: 1 }, true);
    const room = plan.values[plan.steps[0]?.outputs[1] as number];
    expect(room).toMatchObject({ source: sources.arena, dtype: 'bf16', dims: [-1, 6] });
  });

  test('an output that lies in other memory becomes a copy', async () => {
    const g = new Graph();
    const x = g.input('x', 'f32', ['T', 6]);
    const y = unary('exp', x);
    for (const [name, value] of Object.entries({ x, y, again: y, view: reshape(y, ['T', 2, 3]) }))
      g.output(name, value);
    const own = ownOutputs(g);
    verify(own);
    expect(own.nodes.map((n) => n.op)).toEqual(['unary', 'reshape', 'transpose', 'transpose', 'transpose']);
    expect([...own.outputs.keys()]).toEqual(['x', 'y', 'again', 'view']);
    expect(ownOutputs(own)).toBe(own);
    expect((await planOf(g, {})).outputs).toHaveLength(4);
  });

  test('a state cannot be an output: its layout belongs to the executor', async () => {
    const g = new Graph();
    g.output('cache', g.state('cache', 'f32', [2, 16, 1, 4]));
    await expect(planOf(g, {})).rejects.toThrow(/memory of its own, got a state/);
  });
});
