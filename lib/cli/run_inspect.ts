import { type Availability, describeMachine, type MachineInfo } from '../exec/machine.js';
import { inspectTextModel, type TextModelSummary } from '../generate/inspect_text_model.js';
import type { LoadOptions } from '../generate/load_text_model.js';
import { locateModel } from './load_model.js';
import { bytes, type Rows, section } from './table.js';
import { print } from './terminal.js';

export interface InspectFlags extends Pick<LoadOptions, 'weights'> {
  readonly json?: boolean;
}

/** Runs `triga inspect`. */
export async function runInspect(
  source: string | undefined,
  { json, weights }: InspectFlags,
  signal: AbortSignal,
): Promise<void> {
  const machine = describeMachine();
  const model =
    source === undefined
      ? undefined
      : await inspectTextModel(await locateModel(source, signal), { weights, signal });
  const sections = [
    section('Machine', machineRows(machine)),
    ...(model ? [section('Model', modelRows(model))] : []),
  ];
  const text = json
    ? JSON.stringify({ machine, ...(model ? { model } : {}) }, null, 2)
    : sections.join('\n\n');
  await print(`${text}\n`, signal);
}

function machineRows(machine: MachineInfo): Rows {
  const { auto, isas, devices } = machine;
  const chosen = auto.device === undefined ? 'none' : `${auto.device} (${auto.isa})`;
  return [
    ['CPU', `${machine.cpu}, ${machine.logicalCores} hardware threads`],
    ['Memory', `${bytes(machine.memoryBytes)}, ${bytes(machine.availableMemoryBytes)} available`],
    ['Platform', `${machine.platform}, Node.js ${machine.node}`],
    ['Instruction sets', isas.length === 0 ? 'unknown without the addon' : isas.join(', ')],
    ['Threads', machine.threads === undefined ? 'unknown' : String(machine.threads)],
    ['Native addon', availability(machine.addon)],
    ['onnxruntime-node', availability(machine.onnxruntime)],
    ...devices.map((device): [string, string] => [
      `Device ${device.device}`,
      device.available ? `works (${device.isa})` : `no: ${device.reason}`,
    ]),
    ['Device auto', auto.reason === undefined ? chosen : `${chosen}: ${auto.reason}`],
  ];
}

const availability = ({ available, version, reason }: Availability): string =>
  available ? `${version}` : `no: ${reason}`;

function modelRows(model: TextModelSummary): Rows {
  const { memory, tensors, generation, unusedTensors } = model;
  const types = Object.entries(tensors).map(
    ([dtype, { count, bytes: size }]) => `${count} × ${dtype} (${bytes(size)})`,
  );
  const { options, ...ids } = generation;
  const defaults = Object.entries({ ...options, ...ids }).map(
    ([key, value]) => `${key} ${JSON.stringify(value)}`,
  );
  return [
    ['Directory', model.directory],
    ['Family', model.family],
    ['Parameters', model.parameters.toLocaleString('en-US')],
    ['Tensors', types.join(', ')],
    ['Weight files', bytes(model.fileBytes)],
    ['Weights in memory', `about ${bytes(memory.weightBytes)}`],
    [
      'KV cache',
      `${bytes(memory.kvBytesPerToken)} a token, ${bytes(memory.kvBytesPerContext)} a full context`,
    ],
    ['Context', `${model.contextLength} tokens${model.unbounded ? ', and beyond (dynamic RoPE)' : ''}`],
    ...(model.sourceLength === undefined ? [] : [['Source', `${model.sourceLength} tokens`] as const]),
    ['Vocabulary', `${model.vocabSize} tokens`],
    ['Tokenizer', model.tokenizer ? 'tokenizer.json' : 'none: takes token ids only'],
    ['Chat template', model.chatTemplate ? 'yes' : 'no'],
    ['Defaults', defaults.join(', ') || 'none'],
    ['Ignored fields', model.ignoredFields.join(', ') || 'none'],
    ...(unusedTensors.length > 0 ? [['Unused tensors', some(unusedTensors)] as const] : []),
  ];
}

const some = (names: readonly string[]): string =>
  names.slice(0, 5).join(', ') + (names.length > 5 ? `, … (${names.length} in all)` : '');
