import type { Tensor } from '../tensor.js';

/** Outputs of consecutive chunks as one tensor each. */
export function joinRows(parts: readonly Readonly<Record<string, Tensor>>[]): Record<string, Tensor> {
  return Object.fromEntries(
    Object.keys(parts[0] ?? {}).map((name) => {
      const pieces = parts.map((p) => p[name] as Tensor);
      const data = new Float32Array(pieces.reduce((n, p) => n + p.data.length, 0));
      let at = 0;
      for (const piece of pieces) {
        data.set(piece.data, at);
        at += piece.data.length;
      }
      const [, ...inner] = (pieces[0] as Tensor).shape;
      return [
        name,
        { dtype: 'f32', shape: [pieces.reduce((n, p) => n + (p.shape[0] as number), 0), ...inner], data },
      ];
    }),
  );
}
