/** What tests need and users seldom do: the package's second export, `triga/testing`. */
import { loadBinding } from './exec/binding.js';
import { Seq2SeqModel } from './generate/seq2seq_model.js';
import type { TextModel } from './generate/text_model.js';
import type { Tensor } from './tensor.js';

export { runGraph } from './exec/run_graph.js';
export { loadWith } from './generate/load_text_model.js';
export { processLogits } from './generate/process_logits.js';
export { Graph } from './ir/graph.js';

/**
 * Hidden states of every position: the embedding's, then each layer's, the last one after the final norm; f32 [T, C] each. Of an
 * encoder-decoder the encoder's, or with `decoderIds` the decoder's.
 */
export async function hiddenStates(
  model: TextModel | Seq2SeqModel,
  ids: readonly number[],
  decoderIds?: readonly number[],
): Promise<Tensor[]> {
  const outputs =
    model instanceof Seq2SeqModel
      ? await model.forward(ids, decoderIds, 'hidden')
      : await model.forward(ids, 'hidden');
  return Object.keys(outputs).map((_, i) => outputs[`hidden.${i}`] as Tensor);
}

/** Instruction sets that this machine can run, best first. */
export const availableIsas = (): readonly string[] => loadBinding().isas;

/** Bytes outside its heap that V8 has been told of; `process.memoryUsage()` shows buffers only. */
export const externalBytes = (): number => loadBinding().externalBytes();
