import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';

/** What node-gyp leaves in its folder `Release`, read with binutils; `prefix` is that of a cross toolchain's. */
export interface Build {
  readonly release: string;
  readonly prefix?: string;
}

interface Symbol {
  readonly type: string; // nm's letter
  readonly name: string;
}

const read = ({ prefix = '' }: Build, tool: string, ...args: string[]): string =>
  execFileSync(`${prefix}${tool}`, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });

const symbols = (build: Build, file: string, ...flags: string[]): Symbol[] =>
  read(build, 'nm', '--demangle', '--defined-only', ...flags, file)
    .split('\n')
    .flatMap((line) => {
      const [, type, name] = line.match(/^[0-9a-f]* *(\S) (.*)$/) ?? [];
      return type && name ? [{ type, name }] : [];
    });

export const addon = (build: Build): string => path.join(build.release, 'triga.node');

/** Object files by target of binding.gyp: `triga` and one `kernels_<level>` each. */
export function objects({ release }: Build): Map<string, string[]> {
  const folder = path.join(release, 'obj.target');
  const found = new Map<string, string[]>();
  for (const { name, parentPath } of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!name.endsWith('.o')) continue;
    const file = path.join(parentPath, name);
    const target = path.relative(folder, file).split(path.sep)[0] as string;
    found.set(target, [...(found.get(target) ?? []), file]);
  }
  return found;
}

/** Names that the addon shows to whoever loads it. */
export const exportedNames = (build: Build): string[] =>
  symbols(build, addon(build), '--dynamic').map(({ name }) => name);

/**
 * How the linker, or the loader, could hand code of one level to a CPU of another: names that two levels define, functions and
 * data that are kept once (weak symbols, section groups), and code that runs as soon as the addon is loaded.
 */
export function levelBreaches(build: Build): string[] {
  const owner = new Map<string, string>();
  const breaches: string[] = [];
  for (const [target, files] of objects(build)) {
    if (!target.startsWith('kernels_')) continue;
    for (const file of files) {
      for (const { type, name } of symbols(build, file, '--extern-only')) {
        const other = owner.get(name);
        if (other) breaches.push(`${name}: in ${other} and in ${target}`);
        else owner.set(name, target);
        if ('WwVvui'.includes(type)) breaches.push(`${name}: weak in ${target}`);
      }
      const sections = read(build, 'readelf', '--wide', '--section-headers', file);
      for (const [name] of sections.matchAll(/ \.(group|init_array|ctors|init)\b/g))
        breaches.push(`section${name} in ${target}`);
    }
  }
  if (owner.size === 0) throw new Error(`${build.release}: expected targets kernels_* that define something`);
  return breaches;
}

export interface Instruction {
  readonly address: number;
  readonly text: string;
}

const prefixes = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3];

/**
 * Whether the bytes of an x64 instruction are beyond what every x64 CPU has, as far as the encoding tells: VEX, EVEX and XOP (all of
 * AVX, AVX2, FMA, BMI, AVX-512, mask registers), the three-byte opcodes (SSSE3, SSE4, AES, MOVBE), POPCNT.
 */
function isBeyondBaseline(bytes: readonly number[]): boolean {
  let at = 0;
  while (prefixes.includes(bytes[at] as number)) at++;
  const repeated = bytes.slice(0, at).includes(0xf3);
  const [first, second = 0] = bytes.slice(at);
  if (first === 0xc4 || first === 0xc5 || first === 0x62) return true;
  if (first === 0x8f) return (second & 0x38) !== 0; // POP's register field is 0; XOP's is not
  const opcode = bytes.slice((first as number) >> 4 === 4 ? at + 1 : at); // after REX
  if (opcode[0] !== 0x0f) return false;
  return opcode[1] === 0x38 || opcode[1] === 0x3a || (opcode[1] === 0xb8 && repeated);
}

/** Instructions of an x64 object, or of the addon, that not every x64 CPU has; in the order of the file. */
export function beyondBaseline(build: Build, file: string): Instruction[] {
  const found: Instruction[] = [];
  let place = '';
  for (const line of read(build, 'objdump', '-d', '--insn-width=16', file).split('\n')) {
    place = line.match(/^[0-9a-f]+ <(.*)>:$/)?.[1] ?? place;
    const [, address, bytes, text] = line.match(/^ *([0-9a-f]+):\t((?:[0-9a-f]{2} )+) *\t(.*)$/) ?? [];
    if (address === undefined || bytes === undefined) continue;
    if (
      isBeyondBaseline(
        bytes
          .trim()
          .split(' ')
          .map((byte) => Number.parseInt(byte, 16)),
      )
    )
      found.push({ address: Number.parseInt(address, 16), text: `${text} in ${place}` });
  }
  return found;
}

export interface SourceFunctions {
  readonly source: string; // 'target.cc'
  readonly functions: readonly { readonly start: number; readonly end: number }[];
}

/** Local functions of the linked addon, by the source that they came from, one entry an object. */
export function functionsBySource(build: Build): SourceFunctions[] {
  const found: { source: string; functions: { start: number; end: number }[] }[] = [];
  for (const line of read(build, 'readelf', '--wide', '--symbols', addon(build)).split('\n')) {
    const fields = line.trim().split(/\s+/);
    const [number, value = '', size = '', type, , , , source = ''] = fields;
    if (!/^\d+:$/.test(number ?? '')) continue;
    if (type === 'FILE') found.push({ source, functions: [] });
    if (type !== 'FUNC' || Number(size) === 0) continue;
    const start = Number.parseInt(value, 16);
    found.at(-1)?.functions.push({ start, end: start + Number(size) });
  }
  return found;
}
