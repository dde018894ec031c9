import { cpus } from 'node:os';
import { InvalidArgumentError } from '../errors.js';
import { loadBinding } from '../exec/binding.js';
import { cpuTraits } from '../exec/cpu.js';
import { type ComputeUnit, Peaks } from '../exec/peaks.js';
import { threadCount } from '../exec/select.js';
import { blocksFor } from '../generate/kv_pool.js';
import { type LoadOptions, loadWith } from '../generate/load_text_model.js';
import { defaultModel } from '../generate/model_source.js';
import { openTextModel } from '../generate/open_text_model.js';
import type { TextModel } from '../generate/text_model.js';
import { weightedGraph } from '../generate/weighted_graph.js';
import { median } from './median.js';
import { peakMemory } from './peak_memory.js';
import { decodeBytes, mainType, promptOps, type TextCost, textCost } from './text_cost.js';
import { decodeRate, prefillRate, type RoundSize, randomPrompts } from './text_rounds.js';

export interface BenchOptions extends Pick<LoadOptions, 'weights' | 'kvCache' | 'threads' | 'signal'> {
  /** Tokens of a prompt; default 128. */
  readonly prompt?: number | undefined;
  /** Tokens that a sequence decodes; default 64. */
  readonly tokens?: number | undefined;
  /** Sequences that run together; default 1. */
  readonly batch?: number | undefined;
  /** Times that everything is measured; default 5. */
  readonly rounds?: number | undefined;
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

/** What a model reaches on a machine, beside what the machine can do, measured in the same run. Rates and shares are medians. */
export interface BenchResult {
  readonly cpu: string;
  readonly isa: string;
  readonly threads: number;
  readonly prefillTokensPerSecond: number;
  /** Of all sequences together. */
  readonly decodeTokensPerSecond: number;
  /** (greatest − least) / median of the decode rates. */
  readonly spread: number;
  /** Plain reads of memory, by the fastest pattern. */
  readonly bandwidthGBps: number;
  /** Bytes that decoding must read per second / that bandwidth. Above 1 where the caches hold much of them. */
  readonly bandwidthShare: number;
  /** Arithmetic in registers, in the type that the weights are multiplied in. */
  readonly peakGops: number;
  /** Operations of the prefill per second / that peak. */
  readonly peakShare: number;
  /** Most memory that the process had, with the model loaded and run, before memory was taken to measure bandwidth. */
  readonly rssBytes: number;
  readonly loadMs: number;
}

/** A thread reads so much when bandwidth is measured, if memory allows: more than the caches of a host that others share. */
const bytesPerThread = 2 ** 30;

/**
 * Loads a model directory on the CPU and measures it: in rounds, as a machine that others use too drifts, and in each round beside
 * the machine's peaks. Rejects as loading does, and with InvalidArgumentError for sizes that do not fit the model.
 */
export async function benchTextModel(
  directory: string = defaultModel,
  options: BenchOptions = {},
): Promise<BenchResult> {
  const { prompt = 128, tokens = 64, batch = 1, rounds = 5, signal, weights, kvCache } = options;
  const size = { prompt, tokens, batch };
  const cost = await costOf(directory, { ...size, rounds }, options);
  const threads = threadCount(options.threads) ?? loadBinding().defaultThreads;
  const tell = (done: number): void => options.onProgress?.({ done, total: rounds + 2 });
  tell(0);
  const begin = performance.now();
  const model = await loadWith(
    directory,
    { device: 'cpu', weights, kvCache, threads, signal },
    { kvBlocks: batch * blocksFor(prompt + tokens + 1) },
  );
  const loadMs = performance.now() - begin;
  let peaks: Peaks | undefined;
  try {
    tell(1);
    const rssBytes = await warmUp(model, size, signal);
    const { isa } = model.info;
    peaks = await Peaks.open({ isa, threads, bytes: bytesToRead(threads) });
    const bench = { model, peaks, size, cost, unit: unitOf(cost, isa) };
    const measured: Round[] = [];
    for (let round = 1; round <= rounds; round++) {
      tell(round + 1);
      measured.push(await runRound(bench, round, signal));
    }
    tell(rounds + 2);
    const cpu = cpus()[0]?.model.trim() || 'unknown';
    return { cpu, isa, threads, ...summarize(measured), rssBytes, loadMs };
  } finally {
    peaks?.dispose();
    await model.dispose();
  }
}

/** What the model's steps cost. Throws InvalidArgumentError for sizes that are none, or more than the context. */
async function costOf(
  directory: string,
  sizes: RoundSize & { readonly rounds: number },
  { weights = 'stored', signal }: BenchOptions,
): Promise<TextCost> {
  for (const [name, value] of Object.entries(sizes)) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new InvalidArgumentError(`bench: expected ${name} to be an integer of at least 1, got ${value}`);
  }
  const { family, config, params } = await openTextModel(directory, { signal });
  const positions = sizes.prompt + sizes.tokens + 1;
  if (positions > config.contextLength && !config.unbounded) {
    throw new InvalidArgumentError(
      `bench: expected prompt + tokens + 1 of at most ${config.contextLength}, the model's context, got ${positions}`,
    );
  }
  return textCost(weightedGraph(family, config, params, { output: 'logits', blocks: 1, weights }));
}

/** A round that is not measured: afterwards all plans and memory are there. Returns the most memory until then. */
async function warmUp(model: TextModel, size: RoundSize, signal: AbortSignal | undefined): Promise<number> {
  const prompts = randomPrompts(size, model.info.vocabSize, 0);
  await prefillRate(model, prompts, signal);
  await decodeRate(model, prompts, size.tokens, signal);
  return peakMemory();
}

interface Bench {
  readonly model: TextModel;
  readonly peaks: Peaks;
  readonly size: RoundSize;
  readonly cost: TextCost;
  readonly unit: ComputeUnit;
}

interface Round {
  readonly prefill: number;
  readonly decode: number;
  readonly gbps: number;
  readonly bandwidthShare: number;
  readonly gops: number;
  readonly peakShare: number;
}

/** Each rate right after the peak that it is a share of. */
async function runRound(bench: Bench, round: number, signal: AbortSignal | undefined): Promise<Round> {
  const { model, peaks, size, cost, unit } = bench;
  const { prompt, tokens, batch } = size;
  const prompts = randomPrompts(size, model.info.vocabSize, round);
  const gops = await peaks.computeGops(unit, signal);
  const prefill = await prefillRate(model, prompts, signal);
  const gbps = await peaks.readGBps(signal);
  const decode = await decodeRate(model, prompts, tokens, signal);
  const bytesPerToken = decodeBytes(cost, size) / (batch * tokens);
  const opsPerToken = promptOps(cost, prompt) / prompt;
  return {
    prefill,
    decode,
    gbps,
    bandwidthShare: (decode * bytesPerToken) / (gbps * 1e9),
    gops,
    peakShare: (prefill * opsPerToken) / (gops * 1e9),
  };
}

function summarize(
  rounds: readonly Round[],
): Omit<BenchResult, 'cpu' | 'isa' | 'threads' | 'rssBytes' | 'loadMs'> {
  const all = (name: keyof Round): number[] => rounds.map((round) => round[name]);
  const decodes = all('decode');
  return {
    prefillTokensPerSecond: median(all('prefill')),
    decodeTokensPerSecond: median(decodes),
    spread: (Math.max(...decodes) - Math.min(...decodes)) / median(decodes),
    bandwidthGBps: median(all('gbps')),
    bandwidthShare: median(all('bandwidthShare')),
    peakGops: median(all('gops')),
    peakShare: median(all('peakShare')),
  };
}

function unitOf(cost: TextCost, isa: string): ComputeUnit {
  const type = mainType(cost);
  if (type === 'q8') return 'int8';
  return type === 'bf16' && cpuTraits(isa).bf16Dot ? 'dot' : 'fma';
}

const bytesToRead = (threads: number): number =>
  Math.min(threads * bytesPerThread, process.availableMemory() / 4);
