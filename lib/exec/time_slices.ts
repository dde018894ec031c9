import { setImmediate as nextTurn } from 'node:timers/promises';

/** Longest stretch of computing between two turns of the event loop, in milliseconds. */
const sliceMs = 5;

/** Long work in JavaScript awaits the function that this returns between its pieces: the event loop gets a turn when one is due. */
export function timeSlices(): () => Promise<void> {
  let turn = performance.now();
  return async () => {
    if (performance.now() - turn < sliceMs) return;
    await nextTurn();
    turn = performance.now();
  };
}
