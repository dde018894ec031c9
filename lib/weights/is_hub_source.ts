/** Whether a model source names a Hugging Face repository rather than a path. */
export const isHubSource = (source: string): boolean => source.startsWith('hf:');
