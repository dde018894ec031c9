import '../../lib/ops/activation.js';
import { type Activation, activations } from '../../lib/ops/activation_functions.js';
import '../../lib/ops/activation_grad.js';
import '../../lib/ops/gated_activation.js';
import '../../lib/ops/gated_activation_grad.js';
import { type Draw, drawn, product, type Sample } from './suite.js';

const functions = (Object.keys(activations) as Activation[]).filter((fn) => fn !== 'none');

export const samples: readonly Sample[] = product(functions, [0, 1, 129]).map(([fn, T]) =>
  drawn(`${fn} of ${T} rows`, { T }, (d) => ({ x: d.x(['T', 21], { low: -9, high: 9 }) }), { fn }),
);

const rows = (...names: readonly string[]): readonly Sample[] =>
  product(Object.keys(activations) as Activation[], [0, 1, 129]).map(([fn, T]) =>
    drawn(
      `${fn} of ${T} rows`,
      { T },
      (d: Draw) => Object.fromEntries(names.map((name) => [name, d.x(['T', 21], { low: -9, high: 9 })])),
      { fn },
    ),
  );
export const activationGrad: readonly Sample[] = rows('x', 'dy');
export const gatedActivation: readonly Sample[] = rows('gate', 'up');
export const gatedActivationGrad: readonly Sample[] = rows('gate', 'up', 'dy');
