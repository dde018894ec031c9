import { join } from 'node:path';
import { weightsFile } from '../weights/checkpoint.js';
import type { JsonObject } from '../weights/json_file.js';
import { copySideFiles, writeConfig } from '../weights/model_directory.js';
import { type TensorSource, writeSafetensors } from '../weights/write_safetensors.js';
import type { TrainingEngine } from './engine.js';
import type { TrainableModel } from './trainable_model.js';

/** What transformers wants to be told of a file's tensors. */
const metadata = { format: 'pt' };

/** Class names by which transformers finds a family's model. */
const architectures: Readonly<Record<string, string>> = {
  gpt2: 'GPT2LMHeadModel',
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
};

/**
 * Writes the weights as they are now as a model directory: `model.safetensors` (f32, in the names and layout of transformers),
 * `config.json`, and the files beside the weights of the model that was trained. `stateOf` says which state holds a weight.
 */
export async function saveModel(
  directory: string,
  { family, json, directory: from }: TrainableModel,
  engine: TrainingEngine,
  stateOf: (name: string) => string,
): Promise<void> {
  const { layout } = family;
  const tensors = [...engine.weights].map(([name, shape]): TensorSource => {
    const transposed = layout.transposed?.test(name) ?? false;
    const size = shape.reduce((n, d) => n * d, 1);
    return {
      name: name === 'lm_head.weight' ? name : `${layout.optionalPrefix ?? ''}${name}`,
      dtype: 'f32',
      shape: transposed ? shape.toReversed() : shape,
      data: async () => {
        const numbers = await engine.read(stateOf(name), size);
        return transposed ? transposeOf(numbers, shape as [number, number]) : numbers;
      },
    };
  });
  // What is small first: a directory without weights is no model, and one with weights is a whole one.
  if (from !== undefined) await copySideFiles(from, directory, undefined);
  await writeConfig(directory, configOf(family.name, json), undefined);
  await writeSafetensors(join(directory, weightsFile), tensors, { metadata });
}

function configOf(family: string, { quantization_config: _, ...json }: JsonObject): JsonObject {
  const architecture = architectures[family];
  return {
    ...(architecture === undefined ? {} : { architectures: [architecture] }),
    ...json,
    torch_dtype: 'float32',
  };
}

function transposeOf(x: Float32Array, [rows, columns]: readonly [number, number]): Float32Array {
  const y = new Float32Array(x.length);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) y[c * rows + r] = x[r * columns + c] as number;
  return y;
}
