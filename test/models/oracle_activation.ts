/** Error function by its series of positive terms: exact to float64 for |x| < 6, and 1 beyond. */
function erf(x: number): number {
  const a = Math.abs(x);
  if (a >= 6) return Math.sign(x);
  let term = a;
  let sum = a;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * a * a) / (2 * n + 1);
    sum += term;
  }
  return ((Math.sign(x) * 2) / Math.sqrt(Math.PI)) * Math.exp(-a * a) * sum;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const gelu = (x: number): number => 0.5 * x * (1 + erf(x / Math.SQRT2));
const geluTanh = (x: number): number =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

const functions: Readonly<Record<string, (x: number) => number>> = {
  silu: (x) => x * sigmoid(x),
  swish: (x) => x * sigmoid(x),
  gelu,
  gelu_python: gelu,
  gelu_new: geluTanh,
  gelu_fast: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_accurate: geluTanh,
  quick_gelu: (x) => x * sigmoid(1.702 * x),
  relu: (x) => Math.max(0, x),
  tanh: Math.tanh,
  sigmoid,
  linear: (x) => x,
};

/** Names of activations, as Hugging Face has them. */
export const activationNames = Object.keys(functions);

export function activate(name: string): (x: number) => number {
  const known = functions[name];
  if (!known) throw new Error(`oracle: no activation ${name}`);
  return known;
}
