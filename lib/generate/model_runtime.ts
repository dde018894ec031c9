import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DType } from '../dtype.js';
import { OutOfMemoryError } from '../errors.js';
import type { MemoryLimit } from '../exec/available_memory.js';
import type { CompileOptions, Executable, Executor, Session } from '../exec/executor.js';
import { Graph } from '../ir/graph.js';
import type { Value } from '../ir/value.js';
import type { TextConfig, TextFamily } from '../models/family.js';
import type { TextGraphOptions } from '../models/text_graph.js';
import { kvCopy } from '../ops/kv_copy.js';
import { kvBlockSize } from '../ops/kv_write.js';
import { elementCount } from '../tensor.js';
import { checkParams, type ParamSource } from '../weights/param_source.js';
import { blocksFor, KvPool } from './kv_pool.js';
import { distinct, memoryForCache, memoryNeeds } from './memory_needs.js';
import { type WeightsOption, weightedGraph, wholeModel } from './weighted_graph.js';

/** Rows and chosen rows of the steps that a server meets first; larger numbers of sequences are planned for when they come. */
const usualSizes = [
  [1, 1],
  [8, 8],
  [8, 1],
  [64, 1],
  [64, 8],
  [512, 1],
  [512, 8],
].map(([T = 0, R = 0]) => ({ T, R }));

/** A text model made ready on a device: its graphs, compiled when they are first wanted, and its KV pool. */
export class ModelRuntime {
  readonly pool: KvPool;
  readonly session: Session;
  /** Tensors of the checkpoint that the model does not use. */
  readonly unusedTensors: readonly string[];
  readonly parameters: number;
  /** What the weights are in memory. */
  readonly weights: string;
  readonly #build: (output: TextGraphOptions['output']) => Graph;
  readonly #caches: readonly Value[];
  readonly #compiled = new Map<string, Promise<Executable>>();

  constructor(given: {
    readonly executor: Executor;
    readonly family: TextFamily;
    readonly config: TextConfig;
    readonly params: ParamSource;
    readonly weights: WeightsOption;
    /** Most bytes of KV cache; left out: a share of the memory that is free. */
    readonly kvBytes?: number | undefined;
    /** Exactly so many blocks of it. */
    readonly kvBlocks?: number | undefined;
    /** What may be taken in all. */
    readonly memory: MemoryLimit;
  }) {
    const { executor, family, config, params } = given;
    const build = (output: TextGraphOptions['output'], blocks: number): Graph =>
      weightedGraph(family, config, params, { output, blocks, weights: given.weights });
    const plain = wholeModel(family, config, params, given.weights);
    const used = distinct(plain, 'params');
    const redundant = ['lm_head.weight'].filter((name) => !used.some((v) => v.name === name));
    this.unusedTensors = checkParams(
      new Map(used.map((v) => [v.name, { shape: v.shape as number[] }])),
      params,
      redundant,
    );
    this.parameters = used.reduce((n, v) => n + elementCount(v.shape as number[]), 0);
    this.weights = summarize(used.filter(isMatrix).map((v) => v.dtype));
    const needs = memoryNeeds(plain, executor.device);
    const spare = memoryForCache(needs, given.memory);
    // The reference copies its cache at each write, so that has room for little.
    const share = executor.device === 'reference' ? 64 : 4;
    const budget = given.kvBytes ?? Math.min(given.memory.bytes / share, spare / 2);
    this.pool = new KvPool(
      poolBlocks(needs.block, Math.min(budget, spare), config, { executor, exactly: given.kvBlocks }),
    );
    this.session = executor.open(params);
    this.#caches = [...(plain[0] as Graph).states.values()];
    this.#build = (output) => build(output, this.pool.blocks);
  }

  /** The graph that ends in `output`, compiled. */
  executable(output: TextGraphOptions['output'] | 'copy', options?: CompileOptions): Promise<Executable> {
    const known = this.#compiled.get(output);
    if (known) return known;
    const made = this.#compile(output, options);
    this.#compiled.set(output, made);
    // A compile that fails (an abort, a lack of memory) may be tried again.
    made.catch(() => this.#compiled.delete(output));
    return made;
  }

  async #compile(output: TextGraphOptions['output'] | 'copy', options?: CompileOptions): Promise<Executable> {
    // A graph is many small objects, and what the session does with it is more of the same: other events come in between.
    await nextTurn();
    const graph = output === 'copy' ? copyGraph(this.#caches, this.pool.blocks) : this.#build(output);
    await nextTurn();
    return await this.session.compile(
      graph,
      output === 'sample' || output === 'encode' ? { ...options, sizes: usualSizes } : options,
    );
  }
}

/** Copies blocks from and to in every layer's cache, each of so many blocks. */
function copyGraph(caches: readonly Value[], blocks: number): Graph {
  const graph = new Graph();
  const [from, to] = ['from', 'to'].map((name) => graph.input(name, 'i32', ['P']));
  for (const keys of caches.filter((v) => v.name.startsWith('k_cache.'))) {
    const [k_cache, v_cache] = [keys.name, keys.name.replace('k_', 'v_')].map((name) =>
      graph.state(name, keys.dtype, [blocks, ...keys.shape.slice(1)]),
    );
    if (k_cache && v_cache && from && to) kvCopy({ k_cache, v_cache, from, to });
  }
  return graph;
}

/** One row is a vector, whatever the file makes of it. */
const isMatrix = ({ shape }: Value): boolean => shape.length === 2 && shape[0] !== 1;

const summarize = (types: readonly DType[]): string => [...new Set(types)].sort().join('+') || 'f32';

/** Blocks of the KV pool within `budget` bytes: `exactly` so many, or at most what 16 sequences of a bounded context fill. */
function poolBlocks(
  blockBytes: number,
  budget: number,
  config: TextConfig,
  { executor, exactly }: { readonly executor: Executor; readonly exactly: number | undefined },
): number {
  const blocks = Math.floor(budget / Math.max(blockBytes, 1));
  const least = exactly ?? 1;
  if (blocks < least) {
    throw new OutOfMemoryError(
      `kv cache: ${least * kvBlockSize} positions need ${least * blockBytes} bytes, and the limit is ${Math.floor(budget)}`,
    );
  }
  if (exactly !== undefined) return exactly;
  const perSequence = blocksFor(config.contextLength) + blocksFor(config.sourceLength ?? 0) + 1;
  if (executor.device === 'reference') return Math.min(blocks, Math.max(64, 4 * perSequence));
  // A model of unbounded context may use all there is.
  return Math.min(blocks, config.unbounded ? 1 << 20 : Math.max(64, 16 * perSequence));
}
