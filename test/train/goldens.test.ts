import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { cpuExecutor } from '../../lib/exec/cpu.js';
import type { Executor } from '../../lib/exec/executor.js';
import { referenceExecutor } from '../../lib/exec/reference.js';
import { availableIsas } from '../../lib/testing.js';
import { loadWeights } from '../../lib/train/checkpoints.js';
import { TrainingEngine } from '../../lib/train/engine.js';
import { gradientState } from '../../lib/train/loss_graph.js';
import { noLabel, type PackedBatch } from '../../lib/train/packed_batch.js';
import { openTrainable } from '../../lib/train/trainable_model.js';
import { type GoldenTensor, goldenRoot, hasGolden, readGolden } from '../golden.js';

const cases = [
  'gpt2',
  'llama_bf16',
  'llama_gqa',
  'llama_rope_llama3',
  'llama_sharded',
  'mistral_sliding',
  'qwen2',
  'qwen3',
];

interface CaseJson {
  readonly adamw: {
    readonly betas: readonly [number, number];
    readonly eps: number;
    readonly lr: number;
    readonly steps: number;
    readonly weight_decay: number;
  };
  /** Where the original code gave it. */
  readonly grad_global_l2_norm?: number;
  readonly tensors: Readonly<Record<string, { readonly suggest_atol?: number }>>;
}

const places: readonly (readonly [string, () => Executor])[] = [
  ['reference', () => referenceExecutor],
  ...availableIsas().map((isa) => [`cpu ${isa}`, () => cpuExecutor({ isa })] as const),
];

/** Labels of the original code, in which row t says what follows row t − 1. */
function batchOf(ids: GoldenTensor, labels: GoldenTensor): PackedBatch {
  const [rows, length] = ids.shape as [number, number];
  const next = Array.from(labels.data, (_, i) =>
    i % length === length - 1 ? noLabel : (labels.data[i + 1] as number),
  );
  const count = next.filter((label) => label !== noLabel).length;
  return {
    tokens: Int32Array.from(ids.data),
    positions: Int32Array.from(next, (_, i) => i % length),
    labels: Int32Array.from(next),
    starts: Int32Array.from({ length: rows + 1 }, (_, row) => row * length),
    weights: new Float32Array(next.length).fill(1 / count),
    count,
  };
}

describe.each(cases)('%s', (name) => {
  describe.skipIf(!hasGolden(name)).each(places)('%s', (_, executor) => {
    test.each([false, true])('loss, gradients and five steps of AdamW, recompute %s', async (recompute) => {
      const { json, tensors } = readGolden<CaseJson>(name);
      const golden = (key: string): GoldenTensor => tensors[key] as GoldenTensor;
      const model = await openTrainable(path.join(goldenRoot, name), undefined);
      const engine = await TrainingEngine.open({
        ...model,
        executor: executor(),
        compute: 'f32',
        labelSmoothing: 0,
        recompute,
        optimizer: 'adamw',
        nesterov: false,
        average: false,
        decays: () => true,
      });
      try {
        await loadWeights(engine, model.params as NonNullable<typeof model.params>, undefined);
        const batch = batchOf(golden('train/input_ids'), golden('train/labels'));
        const losses: number[] = [];
        for (let step = 0; step <= json.adamw.steps; step++) {
          losses.push(await engine.accumulate(batch));
          if (step === 0) {
            const norm = json.grad_global_l2_norm;
            if (norm !== undefined)
              expect(Math.abs((await engine.gradientNorm()) / norm - 1)).toBeLessThan(1e-5);
            for (const key of Object.keys(json.tensors).filter((k) => k.startsWith('grad/'))) {
              const { shape, data } = golden(key);
              const weight = key.slice('grad/'.length).replace(/^transformer\./, '');
              expect(engine.weights.has(weight), weight).toBe(true);
              const got = await engine.read(gradientState(weight), data.length);
              const transposed = model.family.layout.transposed?.test(weight) ?? false;
              const [rows, columns] = shape as [number, number];
              const worst = data.reduce((most, want, i) => {
                const at = transposed ? (i % columns) * rows + Math.floor(i / columns) : i;
                return Math.max(most, Math.abs(want - (got[at] as number)));
              }, 0);
              expect(worst, key).toBeLessThan(json.tensors[key]?.suggest_atol ?? 1e-4);
            }
          }
          const { betas, eps, lr, weight_decay } = json.adamw;
          await engine.update({
            learningRate: lr,
            beta1: betas[0],
            beta2: betas[1],
            epsilon: eps,
            momentum: 0,
            weightDecay: weight_decay,
            average: 0,
            step: step + 1,
            factor: 1,
          });
        }
        const want = golden('train/adamw_losses').data;
        losses.forEach((loss, i) => {
          expect(Math.abs(loss / (want[i] as number) - 1), `loss ${i}`).toBeLessThan(1e-3);
        });
        expect(losses[0]).toBeCloseTo(golden('train/loss').data[0] as number, 4);
      } finally {
        await engine.dispose();
      }
    });
  });
});
