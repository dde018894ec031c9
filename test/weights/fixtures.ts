import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** The originals' checkpoints and outputs, beside the repository; not every machine has them. */
export const goldenRoot = fileURLToPath(new URL('../../../shared/golden', import.meta.url));
export const hasGoldens = existsSync(goldenRoot);
if (!hasGoldens) console.warn('test/weights: ../shared/golden is absent: its cases are skipped');

/** A directory that is deleted when the test ends. */
export async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'triga-weights-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Writes files by name, text or bytes or (as JSON) objects, into a new temporary directory. */
export async function directoryOf(files: Record<string, unknown>): Promise<string> {
  const directory = await temporaryDirectory();
  for (const [name, content] of Object.entries(files)) {
    const raw =
      typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content);
    await writeFile(join(directory, name), raw);
  }
  return directory;
}

/** A safetensors file of this header (an object, or the very text) and this many zero bytes of data. */
export function safetensorsBytes(header: unknown, dataBytes: number, statedLength?: bigint): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, statedLength ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

/** Header entries of float32 tensors, one after the other. */
function f32Header(shapes: Record<string, number[]>): {
  header: Record<string, unknown>;
  bytes: number;
} {
  let bytes = 0;
  const header: Record<string, unknown> = {};
  for (const [name, shape] of Object.entries(shapes)) {
    const end = bytes + 4 * shape.reduce((n, d) => n * d, 1);
    header[name] = { dtype: 'F32', shape, data_offsets: [bytes, end] };
    bytes = end;
  }
  return { header, bytes };
}

/** A whole file of float32 zeros. */
export function f32File(shapes: Record<string, number[]>): Uint8Array {
  const { header, bytes } = f32Header(shapes);
  return safetensorsBytes(header, bytes);
}

/** The error that `run` throws or rejects with; undefined if none. */
export async function failureOf(run: () => unknown): Promise<unknown> {
  try {
    await run();
    return undefined;
  } catch (error) {
    return error;
  }
}
