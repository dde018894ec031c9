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

struct TrainingKernels {
  Kernel<PackedAttentionArgs> packed_attention;
  Kernel<AttentionGradArgs> attention_grad;
};

}  // namespace triga
