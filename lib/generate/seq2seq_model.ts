import type { Tensor } from '../tensor.js';
import { joinRows } from './join_rows.js';
import { LanguageModel } from './text_model.js';

/**
 * An encoder-decoder: the encoder reads the prompt, the decoder writes. Of `generate()`, tokens are the decoder's new ids, without the
 * one that it begins with, and usage.promptTokens counts the encoder's. Calls may overlap: they share steps.
 */
export class Seq2SeqModel extends LanguageModel {
  /**
   * Logits of every position of the decoder, whose ids `decoderIds` begin with the start token, given `ids` in the encoder: f32 [T, V].
   * Rejects with InvalidArgumentError, OutOfMemoryError, or AbortError.
   */
  async logits(
    ids: readonly number[],
    decoderIds: readonly number[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Tensor> {
    return (await this.forward(ids, decoderIds, 'logits', options.signal)).logits as Tensor;
  }

  /** Runs the encoder and one of the decoder's graphs; its outputs for every position. Without `decoderIds`: the encoder's. */
  async forward(
    ids: readonly number[],
    decoderIds: readonly number[] | undefined,
    output: 'logits' | 'hidden',
    signal?: AbortSignal,
  ): Promise<Record<string, Tensor>> {
    this.checkIds(ids);
    if (decoderIds === undefined)
      return await joinRows(await this.forwardIds({ ids }, 'encoded', { signal }));
    this.checkIds(decoderIds, 'decoderIds');
    return await joinRows(await this.forwardIds({ ids: decoderIds, source: ids }, output, { signal }));
  }
}
