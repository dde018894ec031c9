import { InvalidArgumentError } from '../errors.js';
import { loadBinding } from './binding.js';
import { chooseIsa } from './isa.js';

export interface Int8GemmOperands {
  /** [m, k], row-major. */
  readonly a: Int8Array;
  /** [n, k], row-major. */
  readonly b: Int8Array;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** [m]. */
  readonly aScale: Float32Array;
  /** [n, ⌈k / groupSize⌉]. */
  readonly bScale: Float32Array;
  /** Numbers of a row of b that share a scale; the last group may be shorter. At most 65,536, or k if that is less. */
  readonly groupSize: number;
}

export interface AttentionOperands {
  /** [T, heads, headDim]. */
  readonly q: Float32Array;
  /** [S, kvHeads, headDim]. */
  readonly k: Float32Array;
  readonly v: Float32Array;
  /** A multiple of kvHeads. */
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Query t, at position S − T + t, sees no key beyond it. */
  readonly causal: boolean;
  /** A query at i sees a key at j only if i − j < window; null: every one. */
  readonly window: number | null;
}

/** Products within a group are summed in 32 bits. */
const maxGroup = 65_536;
const maxSize = 2 ** 31 - 1;

/**
 * The engine's kernels on operands in plain layouts, for tests and measurements: they run on the best instruction set or TRIGA_ISA,
 * on all the engine's threads, and the call returns when they have ended. Operands are packed at each call. Throw
 * InvalidArgumentError for operands that do not fit together, DeviceUnavailableError without the addon, OutOfMemoryError.
 */
export const kernels = {
  /**
   * f32 [m, n] = aScale[i] · Σ_g bScale[j, g] · Σ_{p in g} a[i, p] · b[j, p]. Sums within a group are exact; over groups they are one
   * f32 chain of multiply-adds.
   */
  int8Gemm(operands: Int8GemmOperands): Float32Array {
    const check = new OperandCheck('kernels.int8Gemm', operands);
    const { a, b, aScale, bScale } = operands;
    const [m, n, k] = [check.size('m', 0), check.size('n', 0), check.size('k', 0)];
    const groupSize = check.size('groupSize', 1);
    if (Math.min(groupSize, k) > maxGroup)
      throw new InvalidArgumentError(
        `kernels.int8Gemm: expected groupSize of at most ${maxGroup}, got ${groupSize}`,
      );
    check.array('a', Int8Array, [m, k]);
    check.array('b', Int8Array, [n, k]);
    check.array('aScale', Float32Array, [m]);
    check.array('bScale', Float32Array, [n, Math.ceil(k / groupSize)]);
    const y = check.result(m * n);
    const { binding, isa } = engine();
    binding.int8Gemm(isa, binding.defaultThreads, { a, b, aScale, bScale, y, m, n, k, groupSize });
    return y;
  },

  /** f32 [T, heads, headDim]: softmax(q · kᵀ / √headDim) · v, head h with key-value head ⌊h · kvHeads / heads⌋. A query that sees no key gives 0. */
  attention(operands: AttentionOperands): Float32Array {
    const check = new OperandCheck('kernels.attention', operands);
    const { q, k, v, causal, window } = operands;
    const heads = check.size('heads', 1);
    const kvHeads = check.size('kvHeads', 1);
    const headDim = check.size('headDim', 1);
    if (heads % kvHeads !== 0)
      throw new InvalidArgumentError(
        `kernels.attention: expected heads to be a multiple of kvHeads ${kvHeads}, got ${heads}`,
      );
    if (typeof causal !== 'boolean')
      throw new InvalidArgumentError(
        `kernels.attention: expected causal to be true or false, got ${String(causal)}`,
      );
    const rows = check.rows('q', heads * headDim);
    const keys = check.rows('k', kvHeads * headDim);
    check.array('v', Float32Array, [keys, kvHeads, headDim]);
    const y = check.result(rows * heads * headDim);
    const { binding, isa } = engine();
    binding.attention(isa, binding.defaultThreads, {
      q,
      k,
      v,
      y,
      rows,
      keys,
      heads,
      kvHeads,
      headDim,
      causal,
      window: window === null ? 0 : check.size('window', 1),
    });
    return y;
  },
};

function engine() {
  const binding = loadBinding();
  return { binding, isa: chooseIsa(binding.isas, undefined) };
}

type NumberArray = typeof Int8Array | typeof Float32Array;

/** Reads what a kernel is called with. Throws InvalidArgumentError naming kernel and operand. */
class OperandCheck {
  readonly #where: string;
  readonly #operands: Readonly<Record<string, unknown>>;

  constructor(where: string, operands: object) {
    this.#where = where;
    if (typeof operands !== 'object' || operands === null)
      throw new InvalidArgumentError(`${where}: expected an object of operands, got ${String(operands)}`);
    this.#operands = { ...operands };
  }

  size(name: string, least: number): number {
    const got = this.#operands[name];
    if (typeof got === 'number' && Number.isInteger(got) && got >= least && got <= maxSize) return got;
    throw this.#error(`${name} to be an integer from ${least} to ${maxSize}`, String(got));
  }

  array(name: string, type: NumberArray, shape: readonly number[]): void {
    const length = shape.reduce((n, d) => n * d, 1);
    const got = this.#typed(name, type);
    if (got.length !== length)
      throw this.#error(`${name} of [${shape.join(', ')}], ${length} numbers`, String(got.length));
  }

  /** Rows of `width` numbers that an array holds. */
  rows(name: string, width: number): number {
    const { length } = this.#typed(name, Float32Array);
    if (length % width === 0 && length / width <= maxSize) return length / width;
    throw this.#error(`${name} to have whole rows of ${width} numbers`, `${length} numbers`);
  }

  result(length: number): Float32Array {
    try {
      return new Float32Array(length);
    } catch {
      throw this.#error('a result that fits an array', `${length} numbers`);
    }
  }

  #typed(name: string, type: NumberArray): Int8Array | Float32Array {
    const got = this.#operands[name];
    if (got instanceof type && got.buffer instanceof ArrayBuffer) return got;
    throw this.#error(`${name} to be a ${type.name} that is not shared`, Object.prototype.toString.call(got));
  }

  #error(expected: string, got: string): InvalidArgumentError {
    return new InvalidArgumentError(`${this.#where}: expected ${expected}, got ${got}`);
  }
}
