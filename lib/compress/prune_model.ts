import { dtypeBytes } from '../dtype.js';
import { InvalidArgumentError, UnsupportedError } from '../errors.js';
import { checkCall } from '../generate/check_call.js';
import { type LlamaConfig, llamaGraph } from '../models/llama.js';
import { type ParamInfo, type ParamSource, paramOf } from '../weights/param_source.js';
import { readTensorTyped } from '../weights/read_tensor.js';
import { eachRow } from './each_row.js';
import {
  type RewriteOptions,
  type RewriteResult,
  rewriteModel,
  type SizedTensor,
  sameTensor,
} from './rewrite_model.js';

export interface PruneOptions extends RewriteOptions {
  /** Share of the attention heads to remove, of all layers together: from 0, the default, to less than 1. */
  readonly heads?: number | undefined;
  /** Share of the MLP's channels, likewise. */
  readonly mlp?: number | undefined;
}

export interface PruneResult extends RewriteResult {
  /** What each layer has left. */
  readonly heads: readonly number[];
  readonly kvHeads: readonly number[];
  readonly mlpDim: readonly number[];
}

/** Channels of an MLP that stay are a multiple of this, for the kernels' sake. */
const mlpStep = 16;

/**
 * Writes a model of the Llama family without the attention heads and MLP channels whose weights are smallest: a model directory whose
 * `config.json` has a list, one number a layer, where `num_attention_heads`, `num_key_value_heads` and `intermediate_size` differ from
 * layer to layer. A key-value head goes with all its query heads. What is compared is the mean square of all weights that only the
 * head or channel uses, over all layers; each keeps at least one head and 16 channels. Structured magnitude pruning: Li et al. 2017,
 * https://arxiv.org/abs/1608.08710. Rejects with ModelFormatError, UnsupportedError (another family), InvalidArgumentError (shares
 * out of range, a model that is quantized, a directory that cannot be written), OutOfMemoryError or AbortError.
 */
export async function pruneModel(
  source: string,
  directory: string,
  options: PruneOptions = {},
): Promise<PruneResult> {
  checkCall('pruneModel', options, { names: ['heads', 'mlp', 'signal', 'onProgress'], choices: {} });
  const { signal, onProgress, heads = 0, mlp = 0 } = options;
  for (const [name, share] of Object.entries({ heads, mlp }))
    if (!(typeof share === 'number' && share >= 0 && share < 1))
      throw new InvalidArgumentError(
        `pruneModel: expected ${name} to be a share from 0 to less than 1, got ${String(share)}`,
      );
  let left: Widths | undefined;
  const result = await rewriteModel({
    where: 'pruneModel',
    source,
    directory,
    weights: 'stored',
    signal,
    onProgress,
    async change({ family, config, checkpoint, params }, used) {
      if (family.forward !== llamaGraph.forward)
        throw new UnsupportedError(
          `pruneModel: expected a model of the Llama family (llama, mistral, qwen2, qwen3), got ${family.name}`,
        );
      const c = config as LlamaConfig;
      const scores = await scoreLayers(c, params, signal);
      const groups = keepLargest(scores.groups, heads, 1);
      const channels = keepLargest(scores.channels, mlp, mlpStep);
      left = widthsOf(c, groups, channels);
      const cuts = cutsOf(c, groups, channels);
      return {
        tensors: used.map(({ info }) => prunedTensor(info, cuts, signal)),
        config: { ...checkpoint.config, ...configOf(c, left) },
      };
    },
  });
  return { ...result, ...(left as Widths) };
}

type Widths = Pick<PruneResult, 'heads' | 'kvHeads' | 'mlpDim'>;

/** A number for each unit of each layer. */
type Units = readonly (readonly number[])[];

const layerPath = (layer: number): string => `model.layers.${layer}`;

/** Mean squares of the weights of each key-value head with its query heads, and of each MLP channel. */
async function scoreLayers(
  c: LlamaConfig,
  params: ParamSource,
  signal: AbortSignal | undefined,
): Promise<{ groups: number[][]; channels: number[][] }> {
  const groups: number[][] = [];
  const channels: number[][] = [];
  for (let i = 0; i < c.layers; i++) {
    const [kvHeads, mlpDim] = [c.kvHeads[i] as number, c.mlpDim[i] as number];
    const score = async (units: number, rows: readonly string[], columns: string): Promise<number[]> => {
      const sums = Array.from({ length: units }, () => 0);
      let count = 0;
      const each = async (name: string, unitsOf: (row: Float32Array, n: number) => void) => {
        const info = paramOf(params, `${layerPath(i)}.${name}.weight`);
        count += (info.shape[0] as number) * (info.shape[1] as number);
        await eachRow(info, unitsOf, { signal });
      };
      for (const name of rows) {
        const height = paramOf(params, `${layerPath(i)}.${name}.weight`).shape[0] as number;
        await each(name, (row, n) => addTo(sums, Math.floor((n * units) / height), row, 0, row.length));
      }
      await each(columns, (row) => {
        const width = row.length / units;
        for (let u = 0; u < units; u++) addTo(sums, u, row, u * width, (u + 1) * width);
      });
      return sums.map((sum) => (sum * units) / count);
    };
    const attention = ['q_proj', 'k_proj', 'v_proj'].map((name) => `self_attn.${name}`);
    groups.push(await score(kvHeads, attention, 'self_attn.o_proj'));
    channels.push(await score(mlpDim, ['mlp.gate_proj', 'mlp.up_proj'], 'mlp.down_proj'));
  }
  return { groups, channels };
}

/** Adds the squares of row[begin], … row[end − 1] to the sum of a unit. */
function addTo(sums: number[], unit: number, row: Float32Array, begin: number, end: number): void {
  let sum = sums[unit] as number;
  for (let i = begin; i < end; i++) sum += (row[i] as number) ** 2;
  sums[unit] = sum;
}

/**
 * The units of each layer that stay, ascending, when a share of all goes, the smallest first. Each layer keeps a multiple of `step`
 * units, or as many as it has where that is no multiple: those that would fill the last step stay.
 */
export function keepLargest(scores: Units, share: number, step: number): number[][] {
  const all = scores.flatMap((layer, i) => layer.map((score, unit) => ({ i, unit, score })));
  const gone = new Set(all.toSorted((a, b) => a.score - b.score).slice(0, Math.floor(all.length * share)));
  return scores.map((layer, i) => {
    const staying = all.filter((unit) => unit.i === i && !gone.has(unit)).length;
    const count = Math.min(Math.max(Math.ceil(staying / step), 1) * step, layer.length);
    const largest = layer.map((score, unit) => ({ score, unit })).sort((a, b) => b.score - a.score);
    return largest
      .slice(0, count)
      .map(({ unit }) => unit)
      .sort((a, b) => a - b);
  });
}

function widthsOf(c: LlamaConfig, groups: Units, channels: Units): Widths {
  const kvHeads = groups.map((kept) => kept.length);
  return {
    heads: kvHeads.map((count, i) => (count * (c.heads[i] as number)) / (c.kvHeads[i] as number)),
    kvHeads,
    mlpDim: channels.map((kept) => kept.length),
  };
}

/** Fields of config.json: a number where all layers have the same. */
function configOf({ headDim }: LlamaConfig, { heads, kvHeads, mlpDim }: Widths) {
  const field = (list: readonly number[]) => (new Set(list).size === 1 ? list[0] : list);
  return {
    head_dim: headDim,
    num_attention_heads: field(heads),
    num_key_value_heads: field(kvHeads),
    intermediate_size: field(mlpDim),
  };
}

/** Rows or columns of a tensor that stay, by the tensor's name. */
type Cuts = ReadonlyMap<string, { readonly rows?: readonly number[]; readonly columns?: readonly number[] }>;

function cutsOf(c: LlamaConfig, groups: Units, channels: Units): Cuts {
  const cuts = new Map<string, { rows?: readonly number[]; columns?: readonly number[] }>();
  const cut = (name: string, rows: readonly number[]): void => {
    cuts.set(`${name}.weight`, { rows });
    cuts.set(`${name}.bias`, { rows });
  };
  groups.forEach((kept, i) => {
    const at = `${layerPath(i)}.self_attn`;
    const k = runs(kept, c.headDim);
    const q = runs(kept, (c.headDim * (c.heads[i] as number)) / (c.kvHeads[i] as number));
    cut(`${at}.q_proj`, q);
    cut(`${at}.k_proj`, k);
    cut(`${at}.v_proj`, k);
    cuts.set(`${at}.o_proj.weight`, { columns: q });
  });
  channels.forEach((kept, i) => {
    const at = `${layerPath(i)}.mlp`;
    cut(`${at}.gate_proj`, kept);
    cut(`${at}.up_proj`, kept);
    cuts.set(`${at}.down_proj.weight`, { columns: kept });
  });
  return cuts;
}

/** Indices of the rows that units of `size` rows each have. */
const runs = (units: readonly number[], size: number): number[] =>
  units.flatMap((unit) => Array.from({ length: size }, (_, j) => unit * size + j));

function prunedTensor(info: ParamInfo, cuts: Cuts, signal: AbortSignal | undefined): SizedTensor {
  const cut = cuts.get(info.name);
  if (!cut) return sameTensor(info, signal);
  const [n = 0, k = 1] = info.shape;
  const rows = cut.rows ?? Array.from({ length: n }, (_, i) => i);
  const columns = cut.columns?.length ?? k;
  const shape = info.shape.length === 1 ? [rows.length] : [rows.length, columns];
  return {
    name: info.name,
    dtype: info.dtype,
    shape,
    bytes: rows.length * columns * dtypeBytes[info.dtype],
    async data() {
      // Whatever the type is, both are arrays of it.
      const all = (await readTensorTyped(info, { signal })) as Float32Array;
      const kept = all.slice(0, rows.length * columns);
      rows.forEach((row, i) => {
        const whole = all.subarray(row * k, (row + 1) * k);
        if (!cut.columns) kept.set(whole, i * k);
        else for (const [j, column] of cut.columns.entries()) kept[i * columns + j] = whole[column] as number;
      });
      return kept;
    },
  };
}
