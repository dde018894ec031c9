import { type Command, InvalidArgumentError, Option } from 'commander';
import type { DeviceOption } from '../exec/select.js';
import type { LoadOptions } from '../generate/load_text_model.js';
import type { WeightsOption } from '../generate/weighted_graph.js';

// Written down here, as the code that knows them is what a fast start must not load; the types keep them in step.
const devices = { auto: 0, cuda: 0, cpu: 0, onnx: 0, reference: 0 } as const satisfies Record<
  DeviceOption,
  0
>;
const weights = { stored: 0, f32: 0, bf16: 0, q8: 0, q4: 0, w8a8: 0 } as const satisfies Record<
  WeightsOption,
  0
>;
const kvCaches = { f32: 0, bf16: 0, q8: 0 } as const satisfies Record<NonNullable<LoadOptions['kvCache']>, 0>;

export const weightsFlag = (): Option =>
  new Option('--weights <type>', 'Type of the weights in memory (default: stored)').choices(
    Object.keys(weights),
  );

const threadsFlag = (): Option =>
  new Option('--threads <n>', 'Threads that work for it (default: physical cores)').argParser(
    parseCount(256),
  );

const deviceFlag = (): Option =>
  new Option('--device <device>', 'What runs the model (default: auto)').choices(Object.keys(devices));

/** Adds the flags that say how a model is loaded on the CPU. */
export function addCpuFlags(command: Command): void {
  command
    .addOption(weightsFlag())
    .addOption(
      new Option('--kv-cache <type>', 'Type of the KV cache (default: f32)').choices(Object.keys(kvCaches)),
    )
    .addOption(threadsFlag());
}

/** Adds the flags that say how a model is loaded. */
export function addLoadFlags(command: Command): void {
  command.addOption(deviceFlag());
  addCpuFlags(command);
}

/** Adds the flags that say how a model of pictures is loaded. */
export function addImageLoadFlags(command: Command): void {
  command.addOption(deviceFlag()).addOption(weightsFlag()).addOption(threadsFlag());
}

export type LoadFlags = Pick<LoadOptions, 'device' | 'weights' | 'kvCache' | 'threads'>;

/** The options of loadTextModel() that flags gave. */
export const loadOptionsOf = ({ device, weights: type, kvCache, threads }: LoadFlags): LoadFlags => ({
  ...(device === undefined ? {} : { device }),
  ...(type === undefined ? {} : { weights: type }),
  ...(kvCache === undefined ? {} : { kvCache }),
  ...(threads === undefined ? {} : { threads }),
});

/** Reads an integer from 1 to `most`. The parser throws commander's error. */
export const parseCount =
  (most: number) =>
  (text: string): number => {
    const count = Number(text);
    if (!/^\d+$/.test(text) || count < 1 || count > most)
      throw new InvalidArgumentError(`expected an integer from 1 to ${most}.`);
    return count;
  };
