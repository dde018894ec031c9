import { describe, expect, test } from 'vitest';
import { applyOp, opNamed } from '../../lib/ir/define_op.js';
import { Graph } from '../../lib/ir/graph.js';
import { printGraph } from '../../lib/ir/print.js';
import type { Node, Value } from '../../lib/ir/value.js';
import { verify } from '../../lib/ir/verify.js';
import { add } from '../../lib/ops/binary.js';
import { kvWrite } from '../../lib/ops/kv_write.js';
import { linear } from '../../lib/ops/linear.js';
import { pagedAttention } from '../../lib/ops/paged_attention.js';
import { rmsNorm } from '../../lib/ops/rms_norm.js';
import { scalar } from '../../lib/ops/scalar.js';
import { unary } from '../../lib/ops/unary.js';

/** A cache, rows to write into it, and a way to read a version of it. */
function cached() {
  const g = new Graph();
  const state = (name: string): Value => g.state(name, 'f32', [4, 16, 2, 8]);
  const before = { k_cache: state('k_cache'), v_cache: state('v_cache') };
  const rows = {
    k: g.input('k', 'f32', ['T', 2, 8]),
    v: g.input('v', 'f32', ['T', 2, 8]),
    slots: g.input('slots', 'i32', ['T']),
  };
  const read = (caches: typeof before): Value =>
    pagedAttention(
      {
        q: g.input('q', 'f32', ['T', 4, 8]),
        ...caches,
        q_starts: g.input('q_starts', 'i32', ['B1']),
        context_lens: g.input('context_lens', 'i32', ['B']),
        block_tables: g.input('block_tables', 'i32', ['B', 'MB']),
      },
      { scale: 1, causal: true, window: 0, softcap: 0 },
    );
  return { g, before, rows, read };
}

describe('graph', () => {
  test('a leaf asked for twice is one value, of one type', () => {
    const g = new Graph();
    expect(g.param('w', 'f32', [2, 3])).toBe(g.param('w', 'f32', [2, 3]));
    expect(() => g.param('w', 'f32', [3, 2])).toThrow('param "w": expected f32[2,3] as before, got f32[3,2]');
    expect(() => g.param('w', 'bf16', [2, 3])).toThrow(/as before/);
  });

  test('refuses wrong constants, outputs declared twice, operands of two graphs and missing operands', () => {
    const [g, other] = [new Graph(), new Graph()];
    const x = g.input('x', 'f32', ['T']);
    expect(() => g.constant('f32', [2], [1])).toThrow('constant: expected 2 numbers for [2], got 1');
    g.output('y', x);
    expect(() => {
      g.output('y', x);
    }).toThrow('"y" is declared twice');
    expect(() => add(x, other.input('x', 'f32', ['T']))).toThrow('binary: inputs belong to different graphs');
    expect(() => applyOp(opNamed('binary'), { a: x }, { fn: 'add' })).toThrow('binary: input "b" is missing');
    expect(() => opNamed('nothing')).toThrow('no op is named "nothing"');
  });

  test('prints as text', () => {
    const g = new Graph();
    const x = g.input('x', 'f32', ['T', 4]);
    const y = linear(rmsNorm(x, g.param('norm', 'f32', [4]), 1e-6), g.param('w', 'bf16', [8, 4]));
    g.output('y', add(y, scalar(y, 0.5)));
    expect(printGraph(g)).toMatchInlineSnapshot(`
      "input @x: f32[T,4]
      param @norm: f32[4]
      param @w: bf16[8,4]
        %2: f32[T,4] = rms_norm(x=@x, weight=@norm, eps=0.000001)
        %4: f32[T,8] = linear(x=%2, w=@w)
        %6: f32[T,8] = binary(a=%4, b=const0, fn="add")
      output y = %6"
    `);
    const { g: withState, before, rows, read } = cached();
    withState.output('y', read(kvWrite({ ...rows, ...before })));
    expect(printGraph(withState)).toMatchInlineSnapshot(`
      "input @k: f32[T,2,8]
      input @v: f32[T,2,8]
      input @slots: i32[T]
      input @q: f32[T,4,8]
      input @q_starts: i32[B1]
      input @context_lens: i32[B]
      input @block_tables: i32[B,MB]
      state @k_cache: f32[4,16,2,8]
      state @v_cache: f32[4,16,2,8]
        %5: f32[4,16,2,8], %6: f32[4,16,2,8] = kv_write(k=@k, v=@v, k_cache=@k_cache, v_cache=@v_cache, slots=@slots)
        %11: f32[T,4,8] = paged_attention(q=@q, k_cache=%5, v_cache=%6, q_starts=@q_starts, context_lens=@context_lens, block_tables=@block_tables, scale=1, causal=true, window=0, softcap=0)
      output y = %11"
    `);
  });
});

describe('verify', () => {
  test('accepts readers of a version before its writer, and of the next after it', () => {
    const { g, before, rows, read } = cached();
    const early = read(before);
    g.output('y', add(early, read(kvWrite({ ...rows, ...before }))));
    verify(g);
  });

  test('catches a value that is used before it is defined', () => {
    const g = new Graph();
    g.output('y', unary('exp', unary('neg', g.input('x', 'f32', ['T']))));
    g.nodes.reverse();
    expect(() => {
      verify(g);
    }).toThrow('node 0 (unary): input "x" is used before it is defined');
  });

  test('catches an output that nothing computes', () => {
    const g = new Graph();
    g.output('y', unary('exp', g.input('x', 'f32', ['T'])));
    g.nodes.pop();
    expect(() => {
      verify(g);
    }).toThrow('graph output "y" is never computed');
  });

  test('catches a second writer of a version of a state', () => {
    const { g, before, rows } = cached();
    kvWrite({ ...rows, ...before });
    kvWrite({ ...rows, ...before });
    expect(() => {
      verify(g);
    }).toThrow('node 1 (kv_write): reads a version of state "k_cache" that node 0 has overwritten');
  });

  test("catches a reader of a version after its writer, the graph's outputs among them", () => {
    const { g, before, rows, read } = cached();
    kvWrite({ ...rows, ...before });
    const late = read(before);
    g.output('y', late);
    expect(() => {
      verify(g);
    }).toThrow('node 1 (paged_attention): reads a version of state "k_cache" that node 0 has overwritten');
    const second = cached();
    kvWrite({ ...second.rows, ...second.before });
    second.g.output('cache', second.before.k_cache);
    expect(() => {
      verify(second.g);
    }).toThrow('graph output "cache" is a version of state "k_cache" that node 0 has overwritten');
  });

  test('catches types that are not what the op makes', () => {
    const g = new Graph();
    const x = g.input('x', 'f32', ['T', 3]);
    g.output('y', unary('exp', x));
    const [node] = g.nodes as [Node];
    g.nodes[0] = { ...node, outputs: { y: { ...(node.outputs.y as Value), shape: ['T', 4] } } };
    expect(() => {
      verify(g);
    }).toThrow('node 0 (unary): expected output "y" to be f32[T,3], got f32[T,4]');
    g.nodes[0] = { ...node, outputs: {} };
    expect(() => {
      verify(g);
    }).toThrow('expected output "y" to be f32[T,3], got nothing');
    g.nodes[0] = { ...node, op: 'nothing' };
    expect(() => {
      verify(g);
    }).toThrow('no op is named "nothing"');
  });
});
