import type { Value } from '../ir/value.js';
import type { RopeFrequencies } from '../nn/rope_frequencies.js';
import type { Scope } from '../nn/scope.js';
import type { SourceInputs } from '../nn/source_inputs.js';
import type { TextInputs } from '../nn/text_inputs.js';
import type { ConfigReader } from '../weights/config.js';

/** What every text model's configuration says, whatever the family. */
export interface TextConfig {
  readonly vocabSize: number;
  /** Positions that the model has or was made for. */
  readonly contextLength: number;
  /** Whether a sequence may outgrow `contextLength` (dynamic RoPE). */
  readonly unbounded: boolean;
  readonly rope?: RopeFrequencies;
  /** Positions of the encoder, where there is one. */
  readonly sourceLength?: number;
}

/** How a family's checkpoints name and lay out tensors, as data. */
export interface CheckpointLayout {
  /** Weights stored as [in, out] rather than [out, in]. */
  readonly transposed?: RegExp;
  /** Prefix that tensor names may have or lack. */
  readonly optionalPrefix?: string;
  /** Names under which a tensor may lie as well, or instead. */
  readonly copies?: Readonly<Record<string, readonly string[]>>;
  /** Tensors that carry nothing the model needs. */
  readonly ignored?: readonly RegExp[];
}

/** How a family's weights begin, as data: patterns of parameter names. Matrices are normal, other vectors 0. */
export interface Initialization {
  /** Weights of norms: 1. */
  readonly ones: RegExp;
  /** Projections whose result is added to the residual stream: their deviation is divided by √(2 · layers). */
  readonly residual: RegExp;
}

/** A text model: a config reader and a graph. It knows nothing of devices, quantization or ONNX. */
export interface TextFamily<C extends TextConfig = TextConfig> {
  readonly name: string;
  /** `model_type` values of config.json that this family reads. */
  readonly modelTypes: readonly string[];
  readonly layout: CheckpointLayout;
  /** Throws ModelFormatError naming the field that is missing or unfit, UnsupportedError for a value that we do not have. */
  readConfig(config: ConfigReader): C;
  /** Hidden states [T, C]: the embedding's, then each layer's, the last one after the final norm. */
  forward(scope: Scope, config: C, inputs: TextInputs): readonly Value[];
  /** Logits [R, V] of hidden rows [R, C]. */
  head(scope: Scope, config: C, hidden: Value): Value;
  /**
   * Of an encoder-decoder: hidden states [T, C] of the source as `forward` gives them of the text. Keeps the keys and values that
   * each decoder layer's `inputs.attendSource` reads.
   */
  encode?(scope: Scope, config: C, inputs: SourceInputs): readonly Value[];
  /** How weights begin when a model is trained from the beginning. */
  readonly initialization?: Initialization;
  /** Fields of config.json about generation that have another value than none in a checkpoint that leaves them out. */
  readonly generationDefaults?: Readonly<Record<string, unknown>>;
}
