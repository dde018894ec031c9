import { type Command, InvalidArgumentError, Option } from 'commander';
import { optionFault } from '../generate/check_option.js';
import { type OptionName, type OptionSpec, optionNames, optionTable } from '../generate/option_table.js';
import type { GenerateOptions } from '../generate/options.js';

/** Flag values by attribute name, as commander leaves them. */
export type FlagValues = Readonly<Record<string, unknown>>;

/** What the table has and a flag cannot give: Ctrl-C is the signal. */
const notFlags: ReadonlySet<OptionName> = new Set(['signal']);

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** What the value of a kind is called in the help; `stop` and `badWordsIds` may be repeated. */
const placeholders: Readonly<Record<OptionSpec['kind'], string>> = {
  int: ' <n>',
  float: ' <x>',
  bool: '',
  ids: ' <ids>',
  idLists: ' <ids>',
  earlyStopping: ' <when>',
  stop: ' <text>',
  object: ' <model>',
};

const notes: Partial<Record<OptionSpec['kind'], string>> = {
  ids: ': comma-separated, "" for none',
  idLists: ': comma-separated; repeat for more',
  stop: '; repeat for more',
};

/** Adds a flag for every option of generate(). */
export function addGenerateFlags(command: Command): void {
  for (const name of optionNames.filter((n) => !notFlags.has(n))) {
    const spec: OptionSpec = optionTable[name];
    const flag = `--${kebab(name)}`;
    // The table's own words name ids too, which have a flag of their own here.
    const doc = name === 'stop' ? 'String that ends the text' : spec.doc;
    const option = new Option(`${flag}${placeholders[spec.kind]}`, `${doc}${notes[spec.kind] ?? ''}`);
    if (spec.kind !== 'bool') option.argParser((text: string, before) => parseFlag(spec, text, before));
    // Commander takes --no-repeat-ngram-size for the opposite of a --repeat-ngram-size.
    option.negate = false;
    command.addOption(option);
    if (spec.kind === 'bool') command.addOption(new Option(`--no-${kebab(name)}`, 'The opposite'));
    if (name === 'stop')
      command.addOption(
        new Option('--stop-ids <ids>', 'Tokens that end the text: comma-separated').argParser(parseIds),
      );
  }
}

/** The options of generate() that flags gave; `assistantModel` is none yet, but the name of a model to load. */
export function generateOptionsOf(flags: FlagValues): Omit<GenerateOptions, 'assistantModel'> {
  const names = optionNames.filter(
    (name) => optionTable[name].kind !== 'object' && flags[name] !== undefined,
  );
  const given: Record<string, unknown> = Object.fromEntries(names.map((name) => [name, flags[name]]));
  const stopIds = flags.stopIds as readonly number[] | undefined;
  if (stopIds) given.stop = [...((given.stop as readonly string[] | undefined) ?? []), ...stopIds];
  return given;
}

/** A flag's text as the option's value; `before` is what earlier ones of the same name gave. Throws commander's error. */
function parseFlag(spec: OptionSpec, text: string, before: unknown): unknown {
  const value = parseValue(spec.kind, text);
  const fault = spec.kind === 'object' ? undefined : optionFault(spec, value);
  if (fault) throw new InvalidArgumentError(`${fault}.`);
  return (spec.kind === 'stop' || spec.kind === 'idLists') && Array.isArray(before)
    ? [...before, ...(value as unknown[])]
    : value;
}

function parseValue(kind: OptionSpec['kind'], text: string): unknown {
  switch (kind) {
    case 'int':
    case 'float':
      return parseNumber(text);
    case 'ids':
      return parseIds(text);
    case 'idLists':
      return [parseIds(text)];
    case 'stop':
      return [text];
    case 'earlyStopping':
      return text === 'true' ? true : text === 'false' ? false : text;
    default:
      return text;
  }
}

/** Number('') is 0, which nobody means. */
const parseNumber = (text: string): number | string => {
  const value = Number(text);
  return text.trim() === '' || Number.isNaN(value) ? text : value;
};

/** `1,2,3`, or nothing for an empty list. Throws commander's error. */
export function parseIds(text: string): number[] {
  const words = text.trim() === '' ? [] : text.split(',').map((word) => word.trim());
  const wrong = words.find((word) => !/^\d{1,10}$/.test(word));
  if (wrong !== undefined)
    throw new InvalidArgumentError(`expected token ids separated by commas, got "${wrong}".`);
  return words.map(Number);
}
