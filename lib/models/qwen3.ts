import type { TextFamily } from './family.js';
import { type LlamaConfig, llamaGraph, plainLlama, readLlamaConfig } from './llama.js';
import { readLayerWindows } from './llama_config.js';

/** Qwen3: norms on q and k heads. Yang et al. 2025, https://arxiv.org/abs/2505.09388 */
export const qwen3: TextFamily<LlamaConfig> = {
  ...llamaGraph,
  name: 'qwen3',
  modelTypes: ['qwen3'],
  readConfig(config) {
    const c = readLlamaConfig(config);
    const bias = config.bool('attention_bias', { default: false });
    return {
      ...c,
      ...plainLlama,
      qkvBias: bias,
      outputBias: bias,
      qkNorm: true,
      windows: readLayerWindows(config, c.layers),
    };
  },
};
