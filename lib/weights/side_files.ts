/** Whether a model directory's file of that name is one of the small ones beside the weights: configurations, tokenizer, chat template. */
export const isSideFile = (name: string): boolean =>
  /^((config|generation_config|special_tokens_map|added_tokens|vocab|preprocessor_config)\.json|merges\.txt|(tokenizer|chat_template)[^/]*)$/.test(
    name,
  );
