import { Graph } from '../../lib/ir/graph.js';
import type { Value } from '../../lib/ir/value.js';
import { Scope } from '../../lib/nn/scope.js';
import { activation } from '../../lib/ops/activation.js';
import { pool2d } from '../../lib/ops/pool2d.js';
import { reshape } from '../../lib/ops/reshape.js';
import { logSoftmax } from '../../lib/ops/softmax.js';

/** LeNet-5 over digits [N, 1, 32, 32]: logits and log_probs [N, 10]. LeCun et al. 1998. */
export function lenetGraph(): Graph {
  const graph = new Graph();
  const scope = new Scope(graph, () => 'f32');
  const [conv, fc] = [scope.at('convnet'), scope.at('fc')];
  const layer = (x: Value, name: string, out: number): Value =>
    activation('relu', conv.conv2d(x, name, out, { kernel: 5 }));
  let x = pool2d('max', layer(graph.input('x', 'f32', ['N', 1, 32, 32]), 'c1', 6), 2); // [N, 6, 14, 14]
  x = pool2d('max', layer(x, 'c3', 16), 2); // [N, 16, 5, 5]
  x = reshape(layer(x, 'c5', 120), ['N', 120]);
  const logits = fc.linear(activation('relu', fc.linear(x, 'f6', 84, { bias: true })), 'f7', 10, {
    bias: true,
  });
  graph.output('logits', logits);
  graph.output('log_probs', logSoftmax(logits));
  return graph;
}
