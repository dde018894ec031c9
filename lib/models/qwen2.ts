import type { TextFamily } from './family.js';
import { type LlamaConfig, llamaGraph, plainLlama, readLlamaConfig } from './llama.js';
import { readLayerWindows } from './llama_config.js';

/** Qwen2 and 2.5: biases on q, k and v. Yang et al. 2024, https://arxiv.org/abs/2407.10671 */
export const qwen2: TextFamily<LlamaConfig> = {
  ...llamaGraph,
  name: 'qwen2',
  modelTypes: ['qwen2'],
  readConfig(config) {
    const c = readLlamaConfig(config);
    return { ...c, ...plainLlama, qkvBias: true, windows: readLayerWindows(config, c.layers) };
  },
};
