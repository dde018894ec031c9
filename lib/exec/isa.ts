import { DeviceUnavailableError, InvalidArgumentError } from '../errors.js';

/** Every instruction-set level that there is, on whatever CPU. */
export const isaNames = [
  'scalar',
  'avx2',
  'avx512',
  'avx512_vnni',
  'avx512_bf16',
  'avx512_amx',
  'neon',
  'neon_dotprod',
  'neon_i8mm',
] as const;

/**
 * The level to run on: `given`, else TRIGA_ISA, else the best of `available`, which is best first. Throws InvalidArgumentError for a
 * name that is none, DeviceUnavailableError for a level that this CPU, its operating system or the addon does not have.
 */
export function chooseIsa(available: readonly string[], given: string | undefined): string {
  const isa = given ?? (process.env.TRIGA_ISA || available[0] || 'scalar');
  if (available.includes(isa)) return isa;
  const where = given === undefined ? 'TRIGA_ISA' : 'isa';
  const here = `this machine runs ${available.join(', ')}`;
  if (!(isaNames as readonly string[]).includes(isa)) {
    throw new InvalidArgumentError(`${where}: expected one of ${isaNames.join(', ')}, got "${isa}"; ${here}`);
  }
  throw new DeviceUnavailableError(
    `cpu: ${where} asks for "${isa}", which cannot run on this ${process.platform}-${process.arch} machine; ${here}`,
  );
}
