import { type Activation, activations } from '../../lib/ops/activation.js';
import { drawn, product, type Sample } from './suite.js';

const functions = (Object.keys(activations) as Activation[]).filter((fn) => fn !== 'none');

export const samples: readonly Sample[] = product(functions, [0, 1, 129]).map(([fn, T]) =>
  drawn(`${fn} of ${T} rows`, { T }, (d) => ({ x: d.x(['T', 21], { low: -9, high: 9 }) }), { fn }),
);
