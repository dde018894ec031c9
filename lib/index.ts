export { type PruneOptions, type PruneResult, pruneModel } from './compress/prune_model.js';
export { type QuantizeOptions, type QuantizeResult, quantizeModel } from './compress/quantize_model.js';
export type { InputFormat } from './data/input_files.js';
export { type LoadTextDataOptions, loadTextData, type TextData } from './data/load_text_data.js';
export type { DataManifest, Split, SplitManifest } from './data/manifest.js';
export { type OpenTokenDataOptions, openTokenData } from './data/open_token_data.js';
export { type PrepareDataOptions, type PrepareDataResult, prepareData } from './data/prepare_data.js';
export { type Amount, type DataReport, describeReport } from './data/report.js';
export type { BatchOptions, TokenBatch, TokenBatches, TokenData } from './data/token_data.js';
export {
  type TrainTokenizerOptions,
  type TrainTokenizerProgress,
  type TrainTokenizerResult,
  trainTokenizer,
} from './data/train_tokenizer.js';
export type { ImageAutoencoder, ImageCallOptions, ImageModelInfo } from './diffusion/image_autoencoder.js';
export { type LoadImageOptions, loadImageAutoencoder } from './diffusion/load_image_autoencoder.js';
export {
  DeviceUnavailableError,
  type ErrorCode,
  InvalidArgumentError,
  ModelFormatError,
  OutOfMemoryError,
  TrigaError,
  UnsupportedError,
} from './errors.js';
export { type AttentionOperands, type Int8GemmOperands, kernels } from './exec/direct_kernels.js';
export { type EvaluateOptions, type EvaluateResult, evaluateText } from './generate/evaluate_text.js';
export { type ExportOnnxOptions, type ExportOnnxResult, exportOnnx } from './generate/export_onnx.js';
export { loadSeq2SeqModel } from './generate/load_seq2seq_model.js';
export { type LoadOptions, loadTextModel } from './generate/load_text_model.js';
export type { GenerateOptions } from './generate/options.js';
export type { GenerateRequest } from './generate/request.js';
export type {
  FinishReason,
  GeneratedSequence,
  GeneratePiece,
  GenerateResult,
  GenerateTimings,
  TokenLogprobs,
} from './generate/result.js';
export type { Seq2SeqModel } from './generate/seq2seq_model.js';
export type { ModelInfo, Prompt, TextModel } from './generate/text_model.js';
export type { Tensor } from './tensor.js';
export type { ChatMessage } from './tokenizers/chat_template.js';
export type { Tokenizer } from './tokenizers/tokenizer.js';
export type { StepEvent, TrainEvent, TrainOptions, TrainResult } from './train/options.js';
export { train } from './train/train.js';
export type { NewModel } from './train/trainable_model.js';
