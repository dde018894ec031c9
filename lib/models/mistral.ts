import type { TextFamily } from './family.js';
import { type LlamaConfig, llamaGraph, plainLlama, readLlamaConfig } from './llama.js';

/** Mistral: a sliding window, a free head width. Jiang et al. 2023, https://arxiv.org/abs/2310.06825 */
export const mistral: TextFamily<LlamaConfig> = {
  ...llamaGraph,
  name: 'mistral',
  modelTypes: ['mistral'],
  readConfig(config) {
    const c = readLlamaConfig(config);
    const window = config.num('sliding_window', { integer: true, min: 1, default: 0 });
    return { ...c, ...plainLlama, windows: Array.from({ length: c.layers }, () => window) };
  },
};
