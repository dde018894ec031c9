import { availableParallelism } from 'node:os';
import { DeviceUnavailableError } from '../errors.js';
import { loadBinding } from './binding.js';

/** Threads of a model unless somebody says otherwise: physical cores within affinity and quota, as the addon counts them. */
export function defaultThreads(): number {
  try {
    return loadBinding().defaultThreads;
  } catch (error) {
    if (!(error instanceof DeviceUnavailableError)) throw error;
    return availableParallelism();
  }
}
