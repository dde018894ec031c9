/**
 * Generation parameters that older checkpoints keep in config.json. The network does not read them: generation does,
 * where there is no generation_config.json. Source: transformers, `PretrainedConfig._get_global_generation_defaults`.
 */
const generationFields: ReadonlySet<string> = new Set(
  `max_length max_new_tokens min_length min_new_tokens do_sample early_stopping num_beams num_beam_groups
  diversity_penalty temperature top_k top_p min_p typical_p repetition_penalty length_penalty no_repeat_ngram_size
  encoder_no_repeat_ngram_size bad_words_ids num_return_sequences output_scores return_dict_in_generate
  forced_bos_token_id forced_eos_token_id remove_invalid_values exponential_decay_length_penalty suppress_tokens
  begin_suppress_tokens`.split(/\s+/),
);

/**
 * Fields that do not change what a trained network computes.
 * `pretraining_tp` above 1 cuts a product of matrices into a sum or a row of smaller ones: the same up to rounding.
 */
const inert: ReadonlySet<string> = new Set(
  `architectures auto_map model_type torch_dtype dtype transformers_version tokenizer_class use_cache
  attn_implementation gradient_checkpointing chunk_size_feed_forward pretraining_tp torchscript use_bfloat16
  tf_legacy_loss return_dict output_attentions output_hidden_states is_decoder
  initializer_range initializer_factor init_std router_aux_loss_coef
  bos_token_id eos_token_id pad_token_id sep_token_id decoder_start_token_id
  task_specific_params problem_type finetuning_task num_labels id2label label2id prefix`.split(/\s+/),
);

/** `_name_or_path`; GPT-2's head for classification; dropout and layer drop, which training has and inference has not. */
const inertPattern = /^_|^summary_|dropout|(^|_)pdrop$|layerdrop$/;

/** Whether a configuration field is known to leave the network's output as it is, in every family. */
export const hasNoEffect = (field: string): boolean =>
  inert.has(field) || generationFields.has(field) || inertPattern.test(field);
