import { ModelFormatError } from '../errors.js';
import type { Value } from '../ir/value.js';
import type { Scope } from '../nn/scope.js';
import { activation } from '../ops/activation.js';
import type { Activation } from '../ops/activation_functions.js';
import { add, mul } from '../ops/binary.js';
import { scalar } from '../ops/scalar.js';
import { unary } from '../ops/unary.js';
import { upsample2d } from '../ops/upsample2d.js';
import type { ConfigReader } from '../weights/config.js';
import type { ImageConfig, ImageFamily } from './image_family.js';

/** One resolution: so many residual blocks of so many channels. */
interface Stage {
  readonly channels: number;
  readonly blocks: number;
}

/** The branch that blocks at the lowest resolution have in some checkpoints. */
interface PoolBranch {
  readonly groups: number;
  readonly channels: number;
  readonly eps: number;
}

export interface AutoencoderTinyConfig extends ImageConfig {
  readonly encoder: readonly Stage[];
  /** From the lowest resolution up. */
  readonly decoder: readonly Stage[];
  readonly upsampling: number;
  readonly activation: Activation;
  readonly pool: PoolBranch | undefined;
}

const same = { kernel: 3, padding: 1 };

/** relu(x + three convolutions of x); with a pool branch, x is x + pool(x) before. x [N, C, H, W] → the same. */
function block(s: Scope, c: AutoencoderTinyConfig, x: Value, channels: number, pool: boolean): Value {
  let input = x;
  if (pool && c.pool) {
    const p = s.at('pool');
    const wide = p.groupNorm(p.conv2d(x, '0', c.pool.channels, { kernel: 1, bias: false }), '1', c.pool);
    input = add(x, p.conv2d(activation('relu', wide), '3', channels, { kernel: 1, bias: false }));
  }
  const conv = s.at('conv');
  const first = activation(c.activation, conv.conv2d(input, '0', channels, same));
  const second = activation(c.activation, conv.conv2d(first, '2', channels, same));
  return activation('relu', add(conv.conv2d(second, '4', channels, same), input));
}

function encode(scope: Scope, c: AutoencoderTinyConfig, pixels: Value): Value {
  const s = scope.at('encoder').at('layers');
  let x = mul(add(pixels, scalar(pixels, 1)), scalar(pixels, 0.5)); // [0, 1], as the network wants it
  let layer = 0;
  c.encoder.forEach(({ channels, blocks }, stage) => {
    const down = stage === 0 ? same : { ...same, stride: 2, bias: false };
    x = s.conv2d(x, String(layer++), channels, down);
    const lowest = stage === c.encoder.length - 1;
    for (let i = 0; i < blocks; i++) x = block(s.at(layer++), c, x, channels, lowest);
  });
  return s.conv2d(x, String(layer), c.latentChannels, same);
}

function decode(scope: Scope, c: AutoencoderTinyConfig, latents: Value): Value {
  const s = scope.at('decoder').at('layers');
  // Latents beyond ±3 are squeezed.
  let x = mul(unary('tanh', mul(latents, scalar(latents, 1 / 3))), scalar(latents, 3));
  x = activation(c.activation, s.conv2d(x, '0', (c.decoder[0] as Stage).channels, same));
  let layer = 2; // the activation counts as a layer
  c.decoder.forEach(({ channels, blocks }, stage) => {
    for (let i = 0; i < blocks; i++) x = block(s.at(layer++), c, x, channels, stage === 0);
    const last = stage === c.decoder.length - 1;
    if (!last) {
      x = upsample2d(x, c.upsampling);
      layer++;
    }
    x = s.conv2d(x, String(layer++), last ? c.outChannels : channels, { ...same, bias: last });
  });
  return add(mul(x, scalar(x, 2)), scalar(x, -1)); // [−1, 1]
}

/** Enough for any picture; a configuration that says more is no reason to build a graph without end. */
const mostStages = 8;
const mostBlocks = 64;

function readStages(config: ConfigReader, side: 'encoder' | 'decoder', blocks: readonly number[]): Stage[] {
  const channels = config.integers(`${side}_block_out_channels`, {
    default: [64, 64, 64, 64],
    min: 1,
    max: 2 ** 14,
  });
  const counts = config.integers(`num_${side}_blocks`, { default: blocks, min: 0, max: mostBlocks });
  if (channels.length !== counts.length || channels.length < 1 || channels.length > mostStages)
    throw new ModelFormatError(
      `${config.where}: expected ${side}_block_out_channels and num_${side}_blocks to be lists of one length from 1 to ${mostStages}, ` +
        `got ${channels.length} and ${counts.length} numbers`,
    );
  return channels.map((c, i) => ({ channels: c, blocks: counts[i] as number }));
}

function readConfig(config: ConfigReader): AutoencoderTinyConfig {
  const channels = { integer: true, min: 1, max: 2 ** 14 } as const;
  const encoder = readStages(config, 'encoder', [1, 3, 3, 3]);
  const decoder = readStages(config, 'decoder', [3, 3, 3, 1]);
  const upsampling = config.num('upsampling_scaling_factor', { integer: true, min: 1, max: 16, default: 2 });
  config.only('upsample_fn', 'nearest');
  // How pipelines scale latents, and keep them as bytes: outside encode() and decode().
  config.unused('latent_magnitude', 'latent_shift', 'scaling_factor', 'shift_factor');
  // Everything is f32; and a copy of the decoder's list.
  config.unused('force_upcast', 'block_out_channels');
  const pool = {
    groups: config.num('midblock_gn_groups', { ...channels, default: 4 }),
    channels: config.num('midblock_gn_channels', { ...channels, default: 256 }),
    eps: config.num('midblock_gn_eps', { min: 0, default: 1e-5 }),
  };
  if (pool.channels % pool.groups !== 0)
    throw new ModelFormatError(
      `${config.where}: expected midblock_gn_channels to be a multiple of midblock_gn_groups, got ${pool.channels} and ${pool.groups}`,
    );
  return {
    inChannels: config.num('in_channels', { ...channels, default: 3 }),
    outChannels: config.num('out_channels', { ...channels, default: 3 }),
    latentChannels: config.num('latent_channels', { ...channels, default: 4 }),
    encoderScale: 2 ** (encoder.length - 1),
    decoderScale: upsampling ** (decoder.length - 1),
    encoder,
    decoder,
    upsampling,
    activation: config.oneOf('act_fn', ['relu', 'silu', 'gelu'], { default: 'relu' }),
    pool: config.bool('use_midblock_gn', { default: false }) ? pool : undefined,
  };
}

/** TAESD and its kin, as diffusers names their tensors, and with the pool branch of TAEF2. https://github.com/madebyollin/taesd */
export const autoencoderTiny: ImageFamily<AutoencoderTinyConfig> = {
  name: 'autoencoder_tiny',
  classNames: ['AutoencoderTiny'],
  readConfig,
  encode,
  decode,
};
