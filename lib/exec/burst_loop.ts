import { kvBlockSize } from '../ops/kv_write.js';
import type { Tensor } from '../tensor.js';
import type { Burst, RunRequest } from './executor.js';

/** A burst run by run, for executors that have no faster way: its definition. `ended` says whether to stop after a run. */
export async function burstLoop(
  run: (request: RunRequest) => Promise<Readonly<Record<string, Tensor>>>,
  request: RunRequest,
  burst: Burst,
  ended: () => boolean,
): Promise<void> {
  const inputs = Object.fromEntries(
    Object.entries(request.inputs).map(([name, data]) => [name, data.slice()]),
  );
  for (let done = 1; ; done++) {
    const outputs = await run({ ...request, inputs });
    burst.onStep(outputs);
    const ids = (outputs[burst.ids] as Tensor).data;
    if (done >= burst.steps || ended() || ids.some((id) => id < 0 || burst.stops.includes(id))) return;
    advanceInputs(inputs as Record<string, Int32Array>, ids, burst);
  }
}

function advanceInputs(inputs: Record<string, Int32Array>, ids: Tensor['data'], burst: Burst): void {
  inputs[burst.tokens]?.set(ids);
  for (const { input, first, stride } of burst.counters) {
    const data = inputs[input] as Int32Array;
    for (let i = first; i < data.length; i += stride) data[i] = (data[i] as number) + 1;
  }
  const [slots, positions, tables] = [burst.slots, burst.positions, burst.tables].map((name) => inputs[name]);
  if (!slots || !positions || !tables) return;
  const width = tables.length / slots.length;
  positions.forEach((position, r) => {
    const block = tables[r * width + Math.floor(position / kvBlockSize)] as number;
    slots[r] = block * kvBlockSize + (position % kvBlockSize);
  });
}
