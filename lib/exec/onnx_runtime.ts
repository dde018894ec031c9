import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as Ort from 'onnxruntime-node';
import { DeviceUnavailableError } from '../errors.js';

const require = createRequire(import.meta.url);

/** onnxruntime-node. Throws {@link DeviceUnavailableError} if it is not installed, or does not load here. */
export function loadOnnxruntime(): typeof Ort {
  try {
    return require('onnxruntime-node') as typeof Ort;
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    const why =
      code === 'MODULE_NOT_FOUND'
        ? 'onnxruntime-node is not installed'
        : `onnxruntime-node does not load on ${process.platform}-${process.arch}: ${String(cause).split('\n')[0]}`;
    // An optional dependency: npm leaves it out without a word when its install script fails, as it does without a network.
    throw new DeviceUnavailableError(
      `onnx: ${why}; "ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node" mends that`,
      { cause },
    );
  }
}

/** Its version. */
export function onnxruntimeVersion(): string {
  const file = require.resolve('onnxruntime-node/package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
