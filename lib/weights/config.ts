import { ModelFormatError, UnsupportedError } from '../errors.js';
import { hasNoEffect } from './config_fields.js';
import { isJsonObject, type JsonObject, show } from './json_file.js';

export interface NumberRule {
  /** Taken, as it is, where the field is absent or null; without it the field is required. The rule binds the file only. */
  readonly default?: number;
  readonly integer?: boolean;
  readonly min?: number;
  /** Default for integers: 2^26, so that the product of two dimensions stays below 2^53; for others the largest f32. */
  readonly max?: number;
}

/**
 * Typed access to a model's configuration, which remembers what was asked for. A field that is absent or null takes its
 * default, as Hugging Face's models have it; one without default is required. Each method throws ModelFormatError that
 * names file, field, expected and got.
 */
export interface ConfigReader {
  /** What messages call the object: `config.json`, or `config.json: rope_scaling`. */
  readonly where: string;
  num(key: string, rule?: NumberRule): number;
  /** A number for all of `count` layers, or a list of one for each. The rule's default is not used: the field is required. */
  perLayer(key: string, count: number, rule: NumberRule): readonly number[];
  /** null is false, as in Python. */
  bool(key: string, rule?: { readonly default?: boolean }): boolean;
  str(key: string, rule?: { readonly default?: string }): string;
  /** One of a few words. Any other word throws UnsupportedError. */
  oneOf<T extends string>(key: string, words: readonly T[], rule?: { readonly default?: NoInfer<T> }): T;
  /** A list of words, or undefined where it is absent. */
  strings(key: string): readonly string[] | undefined;
  /** A list of integers from `min` to `max`, which binds the file only. */
  integers(
    key: string,
    rule: { readonly default: readonly number[]; readonly min: number; readonly max: number },
  ): readonly number[];
  /** A nested object, or undefined where it is absent. Its unread fields count as ignored: `rope_scaling.factor`. */
  object(key: string): ConfigReader | undefined;
  /** Whether the field is there and not null. Counts as reading it. */
  has(key: string): boolean;
  /** A field that changes the result and of which one value is supported: any other throws UnsupportedError. */
  only(key: string, value: unknown): void;
  /** Fields that this family has and that change nothing. */
  unused(...keys: string[]): void;
  /** Fields that nobody asked for and that may change the result: neither null nor known to have no effect. Sorted. */
  ignored(): string[];
}

const defaultMaxInteger = 2 ** 26;
/** Largest f32: kernels take fields that are no integers as such. */
const maxF32 = (2 - 2 ** -23) * 2 ** 127;

/** Reads `config`; messages begin with `where`, which is usually the file's name. */
export function configReader(config: JsonObject, where: string): ConfigReader {
  const asked = new Set<string>();
  const nested = new Map<string, ConfigReader>();
  /** The field as it stands, null too; undefined where it is absent. */
  const raw = (key: string): unknown => {
    asked.add(key);
    return Object.hasOwn(config, key) ? config[key] : undefined;
  };
  return {
    where,
    ...plainFields(raw, where),
    object(key) {
      const got = raw(key) ?? undefined;
      if (got === undefined) return undefined;
      if (!isJsonObject(got)) throw fieldError(where, key, 'an object', got);
      const reader = nested.get(key) ?? configReader(got, `${where}: ${key}`);
      nested.set(key, reader);
      return reader;
    },
    has: (key) => (raw(key) ?? undefined) !== undefined,
    only(key, supported) {
      const got = raw(key) ?? undefined;
      if (got === undefined || sameJson(got, supported)) return;
      throw new UnsupportedError(
        `${where}: expected ${key} to be ${show(supported)}, got ${show(got)}, which is not supported`,
      );
    },
    unused(...keys) {
      for (const key of keys) asked.add(key);
    },
    ignored() {
      const isOpen = (key: string) => config[key] !== null && !asked.has(key) && !hasNoEffect(key);
      const inner = [...nested].flatMap(([key, reader]) => reader.ignored().map((name) => `${key}.${name}`));
      return [...Object.keys(config).filter(isOpen), ...inner].sort();
    },
  };
}

type PlainFields = Pick<ConfigReader, 'num' | 'perLayer' | 'bool' | 'str' | 'oneOf' | 'strings' | 'integers'>;

function plainFields(raw: (key: string) => unknown, where: string): PlainFields {
  const str = (key: string, fallback: string | undefined): string => {
    const got = raw(key) ?? fallback;
    if (typeof got !== 'string') throw fieldError(where, key, 'a string', got);
    return got;
  };
  return {
    num(key, rule = {}) {
      const got = raw(key) ?? undefined;
      if (got === undefined && rule.default !== undefined) return rule.default;
      if (!isNumber(got, rule)) throw fieldError(where, key, describe(rule), got);
      return got;
    },
    perLayer(key, count, rule) {
      const got = raw(key) ?? undefined;
      if (isNumber(got, rule)) return Array.from({ length: count }, () => got);
      if (Array.isArray(got) && got.length === count && got.every((n) => isNumber(n, rule))) return got;
      throw fieldError(where, key, `${describe(rule)}, or a list of one for each of ${count} layers`, got);
    },
    bool(key, rule = {}) {
      const field = raw(key);
      const got = field === undefined ? rule.default : (field ?? false);
      if (typeof got !== 'boolean') throw fieldError(where, key, 'true or false', got);
      return got;
    },
    str: (key, rule = {}) => str(key, rule.default),
    oneOf(key, words, rule = {}) {
      const got = str(key, rule.default);
      const word = words.find((w) => w === got);
      if (word !== undefined) return word;
      throw new UnsupportedError(
        `${where}: expected ${key} to be one of ${words.join(', ')}, got ${show(got)}`,
      );
    },
    integers(key, rule) {
      const got = raw(key) ?? undefined;
      if (got === undefined) return rule.default;
      const fits = (x: unknown): x is number => isNumber(x, { integer: true, min: rule.min, max: rule.max });
      if (Array.isArray(got) && got.every(fits)) return got;
      throw fieldError(where, key, `a list of integers from ${rule.min} to ${rule.max}`, got);
    },
    strings(key) {
      const got = raw(key) ?? undefined;
      if (got === undefined) return undefined;
      const isText = (x: unknown): x is string => typeof x === 'string';
      if (!Array.isArray(got) || !got.every(isText)) throw fieldError(where, key, 'a list of strings', got);
      return got;
    },
  };
}

function fieldError(where: string, key: string, expected: string, got: unknown): ModelFormatError {
  const came = got === undefined || got === null ? 'no such field' : show(got);
  return new ModelFormatError(`${where}: expected ${key} to be ${expected}, got ${came}`);
}

function isNumber(got: unknown, rule: NumberRule): got is number {
  if (typeof got !== 'number' || !Number.isFinite(got)) return false; // 1e999 is Infinity
  if (rule.integer && !Number.isSafeInteger(got)) return false;
  return got >= (rule.min ?? -maxF32) && got <= maximum(rule);
}

const maximum = (rule: NumberRule): number => rule.max ?? (rule.integer ? defaultMaxInteger : maxF32);

function describe(rule: NumberRule): string {
  const kind = rule.integer ? 'an integer' : 'a finite f32 number';
  const least = rule.min === undefined ? '' : ` of at least ${rule.min}`;
  const most = maximum(rule) === maxF32 ? '' : ` and at most ${maximum(rule)}`;
  return kind + least + most;
}

/** Equality of JSON values; of objects, in the order of their keys. */
const sameJson = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Fields of every Hugging Face configuration that do change the result, with the value that causal models support. */
const baseFields: Readonly<Record<string, unknown>> = {
  add_cross_attention: false,
  is_encoder_decoder: false,
  pruned_heads: {},
  quantization_config: null,
  tie_encoder_decoder: false,
};

/**
 * Checks the fields that every Hugging Face configuration may have. `supported` replaces values: an encoder-decoder
 * family passes `{ is_encoder_decoder: true }`. Errors: UnsupportedError naming the field.
 */
export function checkBaseFields(
  config: ConfigReader,
  supported: Readonly<Record<string, unknown>> = {},
): void {
  for (const [field, value] of Object.entries({ ...baseFields, ...supported })) config.only(field, value);
}
