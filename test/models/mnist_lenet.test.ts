import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { runGraph } from '../../lib/exec/run_graph.js';
import { type GoldenTensor, hasGolden, modelRoot, readGolden, readTensors } from '../golden.js';
import { places } from '../replay.js';
import { lenetGraph } from './mnist_lenet.js';

const name = 'mnist-lenet';

interface Json {
  readonly tensors: Readonly<Record<string, { readonly suggest_atol: number }>>;
}

describe.skipIf(!hasGolden(name, modelRoot))('LeNet-5 (../shared/models/mnist-lenet)', () => {
  test.each(places)('classifies its goldens on $name', async ({ device, isa }) => {
    const { json, tensors } = readGolden<Json>(name, modelRoot);
    const params = readTensors(path.join(modelRoot, name, 'model.safetensors'));
    const got = await runGraph(lenetGraph(), {
      inputs: { x: tensors.input as GoldenTensor },
      params,
      device,
      ...(isa ? { isa } : {}),
    });
    for (const output of ['logits', 'log_probs']) {
      const [mine, want] = [got[output]?.data ?? [], tensors[output]?.data ?? []];
      const furthest = Array.from(want, (w, i) => Math.abs(w - (mine[i] as number)));
      expect(Math.max(...furthest), output).toBeLessThan(json.tensors[output]?.suggest_atol as number);
    }
    const logits = Array.from(got.logits?.data ?? []);
    const labels = Array.from({ length: 20 }, (_, i) => {
      const row = logits.slice(i * 10, i * 10 + 10);
      return row.indexOf(Math.max(...row));
    });
    expect(labels).toEqual(Array.from(tensors.labels?.data ?? []));
  });
});
