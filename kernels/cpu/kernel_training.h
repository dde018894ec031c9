// The kernels that only training needs: their arguments, and their table. The rules are those of kernel.h. Sums over rows run in
// chunks of a fixed size, merged in order, so that no bit depends on threads; tiles never share an output.
#pragma once
#include "kernels/cpu/kernel.h"

namespace triga {

// Attention over packed rows: sequence b has the query rows q_starts[b] … and the keys k_starts[b] …; its last query stands at its
// last key. Scores, masks and the order of every sum are those of AttentionArgs, over spans at positions of the sequence. Tiles:
// (sequence, kv head, up to kPackedPairs pairs of a row and a head).
struct PackedAttentionArgs {
  const float* q;           // [T, heads, head_dim]
  const float* k;           // [S, kv_heads, head_dim]
  const float* v;           // as k
  float* y;                 // as q
  const int32_t* q_starts;  // [batch + 1]
  const int32_t* k_starts;  // [batch + 1]
  const float* slopes;      // [heads] or null
  int64_t batch, keys;      // keys of all sequences: what scratch memory is made for
  int64_t heads, kv_heads, head_dim;
  int64_t window;  // 0: all
  int32_t causal;
  float scale, softcap;  // softcap 0: none
};

// The gradients of q, k and v from that of y (`attention.y` is not used): with P the softmax, dP = dy·vᵀ and D = Σ P ∘ dP a row,
// dS = P ∘ (dP − D) (softcap: times 1 − tanh²), dq = scale · dS·k, dk = scale · dSᵀ·q, dv = Pᵀ·dy. Sums over rows ascend; a masked
// key has P 0, so numbers that are not finite spread over their sequence. Tiles: (sequence, kv head).
struct AttentionGradArgs {
  PackedAttentionArgs attention;
  const float* dy;  // as q
  float* dq;        // as q
  float* dk;        // as k
  float* dv;        // as k
};

// Numbers of an optimizer's step, in the order in which hyper has them.
struct AdamwHyper {
  float rate, beta1, beta2, eps, decay;
  float correction1, correction2;  // 1 − beta1^t, 1 − beta2^t
  float factor;                    // of the gradient
};
struct SgdHyper {
  float rate, momentum, decay, factor;
};

// g = factor · grad; param −= rate · decay · param; m = beta1 · m + (1 − beta1) · g; v = beta2 · v + (1 − beta2) · g²; param −=
// rate / correction1 · m / (√v / √correction2 + eps). In place. Tiles: chunks.
struct AdamwArgs {
  float* param;
  float* m;
  float* v;
  const float* grad;
  const AdamwHyper* hyper;
  int64_t n;
};

// g = factor · grad + decay · param; momentum = hyper.momentum · momentum + g; param −= rate · (nesterov ? g + hyper.momentum ·
// momentum : momentum). In place. Tiles: chunks.
struct SgdArgs {
  float* param;
  float* momentum;
  const float* grad;
  const SgdHyper* hyper;
  int64_t n;
  int32_t nesterov;
};

// average = decay · average + (1 − decay) · param. In place. Tiles: chunks.
struct EmaArgs {
  float* average;
  const float* param;
  const float* decay;
  int64_t n;
};

// x = value. Tiles: chunks.
struct FillArgs {
  float* x;
  int64_t n;
  float value;
};

// What is summed over rows is cut into so many parts, of rows r · parts / rows, whatever the number of threads.
constexpr int64_t kParts = 64;

// parts[i] = Σ x² over the part of n numbers. Tiles: parts.
struct SumSquaresArgs {
  const float* x;
  float* parts;  // [kParts]
  int64_t n;
};

// y = Σ parts[kParts, cols], part i with i + 32, then + 16, … Tiles: columns.
struct SumPartsArgs {
  const float* parts;
  float* y;
  int64_t cols;
};

// Row r of logits with the label l, s = smoothing: loss = log Σ exp x − (1 − s) · x_l − s · mean x; label kIgnored: 0. Sums as
// row_stats has them. Tiles: rows.
constexpr int32_t kIgnored = -100;
struct CrossEntropyArgs {
  const float* logits;    // [rows, cols]
  const int32_t* labels;  // [rows], 0 … cols − 1 or kIgnored
  float* loss;            // [rows]
  int64_t rows, cols;
  float smoothing;
};

// dlogits = dloss · (softmax − (1 − s) · onehot − s / cols); label kIgnored: 0. The loss too, where there is room
// for it. Tiles: rows.
struct CrossEntropyGradArgs {
  CrossEntropyArgs forward;
  const float* dloss;  // [rows]
  float* dlogits;      // as logits; may be logits
};

// With h the normalized x, r its factor and g = dy · weight. rms: dx = r · (g − h · mean(g · h)); layer: dx = r · (g − mean(g) − h ·
// mean(g · h)). Sums of a part's rows: weight_parts of dy · h, bias_parts of dy (layer only). Tiles: parts of the rows.
struct NormGradArgs {
  const float* x;  // [rows, cols]
  const float* weight;
  const float* dy;
  float* dx;
  float* weight_parts;  // [kParts, cols]
  float* bias_parts;
  int64_t rows, cols;
  float eps;
};

// y = x with the first 2 · half of each head rotated: in halves (i, i + half) or, interleaved, pairs (2i, 2i + 1). Tiles: rows.
struct RopeArgs {
  const float* x;    // [rows, heads, head_dim]
  const float* cos;  // [rows, half]
  const float* sin;
  float* y;
  int64_t rows, heads, head_dim, half;
  int32_t interleaved;
};

// y = act(x), or with `up` act(x) · up. Tiles: chunks.
struct ActivationArgs {
  const float* x;
  const float* up;  // or null
  float* y;
  int64_t n;
  Activation activation;
};

// dx = dy · act'(x), or with `up` dx = dy · up · act'(x) and dup = dy · act(x). Tiles: chunks.
struct ActivationGradArgs {
  const float* x;
  const float* up;  // or null
  const float* dy;
  float* dx;
  float* dup;
  int64_t n;
  Activation activation;
};

// y[i] = x[rows[i]], rows of `width` numbers of 4 bytes. Tiles: rows.
struct GatherArgs {
  const float* x;
  const int32_t* rows;
  float* y;
  int64_t count, width;
};

// y[j] = Σ x[i] over the i in order with rows[i] = j. Tiles: ranges of j.
struct ScatterAddArgs {
  const float* x;       // [count, width]
  const int32_t* rows;  // [count]
  float* y;             // [size, width]
  int64_t count, size, width;
};

struct TrainingKernels {
  Kernel<PackedAttentionArgs> packed_attention;
  Kernel<AttentionGradArgs> attention_grad;
  Kernel<AdamwArgs> adamw;
  Kernel<SgdArgs> sgd;
  Kernel<EmaArgs> ema;
  Kernel<FillArgs> fill;
  Kernel<SumSquaresArgs> sum_squares;
  Kernel<SumPartsArgs> sum_parts;
  Kernel<CrossEntropyArgs> cross_entropy;
  Kernel<CrossEntropyGradArgs> cross_entropy_grad;
  Kernel<NormGradArgs> rms_norm_grad, layer_norm_grad;
  Kernel<RopeArgs> rope;
  Kernel<ActivationArgs> activation;
  Kernel<ActivationGradArgs> activation_grad;
  Kernel<GatherArgs> gather;
  Kernel<ScatterAddArgs> scatter_add;
};

}  // namespace triga
