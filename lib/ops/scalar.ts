import { graphOf } from '../ir/graph.js';
import type { Value } from '../ir/value.js';

/** The number `c` as a value [1] of the graph that `like` belongs to; it broadcasts. */
export const scalar = (like: Value, c: number): Value => graphOf(like).constant('f32', [1], [c]);
