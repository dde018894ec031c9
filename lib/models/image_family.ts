import type { Value } from '../ir/value.js';
import type { Scope } from '../nn/scope.js';
import type { ConfigReader } from '../weights/config.js';

/** What every image autoencoder's configuration says, whatever the family. */
export interface ImageConfig {
  /** Channels of a picture that enters, and of one that leaves. */
  readonly inChannels: number;
  readonly outChannels: number;
  readonly latentChannels: number;
  /** Pixels a side of a picture for each of its latents: of one that enters, and of one that leaves. */
  readonly encoderScale: number;
  readonly decoderScale: number;
}

/** An image autoencoder: a config reader and two graphs, over pictures in [−1, 1]. It knows nothing of devices or ONNX. */
export interface ImageFamily<C extends ImageConfig = ImageConfig> {
  readonly name: string;
  /** `_class_name` values of config.json that this family reads. */
  readonly classNames: readonly string[];
  /** Throws ModelFormatError naming the field that is missing or unfit, UnsupportedError for a value that we do not have. */
  readConfig(config: ConfigReader): C;
  /** Latents [N, L, H, W] of pictures [N, C, scale·H, scale·W]. */
  encode(scope: Scope, config: C, pixels: Value): Value;
  /** Pictures [N, C, scale·H, scale·W] of latents [N, L, H, W]. */
  decode(scope: Scope, config: C, latents: Value): Value;
}
