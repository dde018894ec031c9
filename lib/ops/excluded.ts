import type { Excluded } from '../ir/define_op.js';

/** What the ops of training say of ONNX. */
export const trainingOnly: Excluded = { excluded: 'training runs on the CPU' };
