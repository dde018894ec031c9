import type { Value } from '../../../lib/ir/value.js';
import { type Conv2dOptions, conv2d } from '../../../lib/ops/conv2d.js';
import { groupNorm } from '../../../lib/ops/group_norm.js';
import { pool2d } from '../../../lib/ops/pool2d.js';
import { upsample2d } from '../../../lib/ops/upsample2d.js';
import type { Build, Operands } from './operands.js';

const conv =
  (options: Conv2dOptions): Build =>
  (o: Operands): Value =>
    conv2d(o.x(0), o.param(1), { ...options, bias: o.param(2) });

export const pictures: Readonly<Record<string, Build>> = {
  conv2d_k1: conv({}),
  conv2d_k3: conv({ padding: 1 }),
  conv2d_k3s2: conv({ padding: 1, stride: 2 }),
  conv2d_k4s2p1: conv({ padding: 1, stride: 2 }),
  conv2d_k7s4: conv({ padding: 3, stride: 4 }),
  conv2d_groups: conv({ padding: 1, groups: 3 }),
  conv2d_depthwise: conv({ padding: 1, stride: 2, groups: 6 }),
  max_pool2d_k3s2p1: (o) => pool2d('max', o.x(0), 3, { stride: 2, padding: 1 }),
  avg_pool2d_k3s2p1: (o) => pool2d('mean', o.x(0), 3, { stride: 2, padding: 1 }),
  interpolate_nearest_x2: (o) => upsample2d(o.x(0), 2),
  group_norm_3: (o) => groupNorm(o.x(0), o.param(1), o.param(2), { groups: 3, eps: 1e-6 }),
};
