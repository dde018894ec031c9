// Kernels of training: packed attention and its gradients, optimizers, cross-entropy, gradients of norms and activations, rows.
#include "kernels/cpu/kernel_training.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "test/native/kernels_harness.h"

namespace triga::test {
namespace {

size_t Size(int64_t n) { return static_cast<size_t>(n); }
vector<double> Wide(const vector<float>& x) { return {x.begin(), x.end()}; }

// Runs a kernel in order and in any order of tiles, from the same buffers, and checks that all of them get the same bits.
template <class Args>
void RunTwice(const Kernel<Args>& kernel, const Args& args, const vector<vector<float>*>& outs) {
  vector<vector<float>> before, first;
  for (const vector<float>* v : outs) before.push_back(*v);
  Run(kernel, args);
  for (size_t i = 0; i < outs.size(); ++i) {
    first.push_back(*outs[i]);
    std::copy(before[i].begin(), before[i].end(), outs[i]->begin());
  }
  Run(kernel, args, true);
  for (size_t i = 0; i < outs.size(); ++i)
    Check(SameBits(first[i], *outs[i]), "tiles in any order");
}

struct AttentionCase {
  int64_t heads, kv_heads, dim, window;
  int causal;
  float softcap;
  bool slopes;
  vector<std::pair<int32_t, int32_t>> lengths;  // queries, keys
};

// Attention and its gradients in float64.
struct WideAttention {
  vector<double> y, dq, dk, dv;

  WideAttention(const AttentionCase& c, const PackedAttentionArgs& a, const vector<float>& dy,
                size_t queries, size_t keys)
      : y(queries), dq(queries), dk(keys), dv(keys) {
    for (int64_t b = 0; b < a.batch; ++b) {
      const int64_t n = a.k_starts[b + 1] - a.k_starts[b];
      for (int64_t t = a.q_starts[b]; t < a.q_starts[b + 1]; ++t) {
        const int64_t i = n - a.q_starts[b + 1] + t;
        const int64_t from = c.window > 0 ? std::max<int64_t>(0, i - c.window + 1) : 0;
        const int64_t to = c.causal ? std::min(i + 1, n) : n;
        for (int64_t h = 0; h < c.heads; ++h) AddRow(c, a, dy, b, t, h, i, from, to);
      }
    }
  }

  void AddRow(const AttentionCase& c, const PackedAttentionArgs& a, const vector<float>& dy,
              int64_t b, int64_t t, int64_t h, int64_t i, int64_t from, int64_t to) {
    const size_t q = Size((t * c.heads + h) * c.dim);
    const auto key = [&](int64_t j) {
      return Size(((a.k_starts[b] + j) * c.kv_heads + h / (c.heads / c.kv_heads)) * c.dim);
    };
    const auto dot = [&](const float* x, size_t at, const float* z, size_t from_z) {
      double s = 0;
      for (size_t d = 0; d < Size(c.dim); ++d) s += static_cast<double>(x[at + d]) * z[from_z + d];
      return s;
    };
    vector<double> p, slack, dp;
    double top = -INFINITY, sum = 0, mean = 0;
    for (int64_t j = from; j < to; ++j) {
      double s = static_cast<double>(a.scale) * dot(a.q, q, a.k, key(j));
      double left = 1;
      if (c.softcap > 0) {
        const double tanh = std::tanh(s / static_cast<double>(c.softcap));
        s = static_cast<double>(c.softcap) * tanh, left = 1 - tanh * tanh;
      }
      if (a.slopes) s += static_cast<double>(a.slopes[h]) * static_cast<double>(j - i);
      p.push_back(s), slack.push_back(left);
      dp.push_back(dot(dy.data(), q, a.v, key(j)));
      top = std::max(top, s);
    }
    for (double& s : p) sum += s = std::exp(s - top);
    for (size_t n = 0; n < p.size(); ++n) p[n] /= sum, mean += p[n] * dp[n];
    for (size_t n = 0; n < p.size(); ++n) {
      const double ds = static_cast<double>(a.scale) * p[n] * (dp[n] - mean) * slack[n];
      const size_t k = key(from + static_cast<int64_t>(n));
      for (size_t d = 0; d < Size(c.dim); ++d) {
        y[q + d] += p[n] * static_cast<double>(a.v[k + d]);
        dq[q + d] += ds * static_cast<double>(a.k[k + d]);
        dk[k + d] += ds * static_cast<double>(a.q[q + d]);
        dv[k + d] += p[n] * static_cast<double>(dy[q + d]);
      }
    }
  }
};

void TestPackedAttention(const CpuKernels& k) {
  const vector<AttentionCase> cases = {
      {1, 1, 1, 0, 1, 0, false, {{1, 1}}},
      {4, 4, 16, 0, 1, 0, false, {{70, 70}, {3, 3}, {0, 0}, {130, 130}}},
      {8, 2, 64, 0, 1, 0, false, {{65, 200}, {25, 25}}},
      {6, 2, 80, 0, 1, 3, false, {{131, 131}, {16, 16}}},
      {7, 1, 33, 0, 1, 0, true, {{100, 100}, {1, 64}}},
      {4, 2, 64, 50, 1, 0, false, {{190, 190}}},
      {2, 2, 20, 7, 0, 0, true, {{77, 80}, {9, 3}, {2, 0}}},
  };
  for (const AttentionCase& c : cases) {
    where = std::string(k.isa) + " packed attention of " + std::to_string(c.dim);
    vector<int32_t> qs = {0}, ks = {0};
    for (const auto& [queries, keys] : c.lengths)
      qs.push_back(qs.back() + queries), ks.push_back(ks.back() + keys);
    const size_t n = Size(qs.back() * c.heads * c.dim), m = Size(ks.back() * c.kv_heads * c.dim);
    const vector<float> q = Floats(n), key = Floats(m), v = Floats(m), dy = Floats(n),
                        slopes = Floats(Size(c.heads));
    vector<float> y(n, NAN), dq(n, NAN), dk(m, NAN), dv(m, NAN);
    const PackedAttentionArgs a{q.data(),
                                key.data(),
                                v.data(),
                                y.data(),
                                qs.data(),
                                ks.data(),
                                c.slopes ? slopes.data() : nullptr,
                                static_cast<int64_t>(c.lengths.size()),
                                ks.back(),
                                c.heads,
                                c.kv_heads,
                                c.dim,
                                c.window,
                                c.causal,
                                0.7f,
                                c.softcap};
    const WideAttention want(c, a, dy, n, m);
    RunTwice(k.training->packed_attention, a, {&y});
    CheckClose(y, want.y, 1e-5, 1e-5, "y");
    RunTwice(k.training->attention_grad,
             AttentionGradArgs{a, dy.data(), dq.data(), dk.data(), dv.data()}, {&dq, &dk, &dv});
    CheckClose(dq, want.dq, 2e-5, 2e-5, "dq");
    CheckClose(dk, want.dk, 2e-5, 2e-5, "dk");
    CheckClose(dv, want.dv, 2e-5, 2e-5, "dv");
  }
}

void TestOptimizers(const CpuKernels& k) {
  for (int64_t n : {0, 1, 15, 16, 17, 16384, 40001}) {
    where = std::string(k.isa) + " optimizers of " + std::to_string(n);
    const vector<float> start = Floats(Size(n)), grad = Floats(Size(n)), m0 = Floats(Size(n));
    vector<float> v0 = Floats(Size(n));
    for (float& x : v0) x = x * x;
    vector<float> p = start, m = m0, v = v0;
    vector<double> wp(Size(n)), wm(Size(n)), wv(Size(n)), squares(1);
    const AdamwHyper h{0.01f, 0.9f, 0.99f, 1e-6f, 0.1f, 0.271f, 0.0297f, 0.5f};
    for (size_t i = 0; i < Size(n); ++i) {
      const double g = 0.5 * static_cast<double>(grad[i]);
      wm[i] = 0.9 * static_cast<double>(m0[i]) + 0.1 * g;
      wv[i] = 0.99 * static_cast<double>(v0[i]) + 0.01 * g * g;
      wp[i] = static_cast<double>(start[i]) * (1 - 0.001) -
              0.01 / 0.271 * wm[i] / (std::sqrt(wv[i] / 0.0297) + 1e-6);
      squares[0] += static_cast<double>(grad[i]) * static_cast<double>(grad[i]);
    }
    RunTwice(k.training->adamw, AdamwArgs{p.data(), m.data(), v.data(), grad.data(), &h, n},
             {&p, &m, &v});
    CheckClose(p, wp, 1e-5, 1e-6, "adamw: param");
    CheckClose(m, wm, 1e-6, 1e-7, "adamw: m");
    CheckClose(v, wv, 1e-6, 1e-7, "adamw: v");
    for (const int nesterov : {0, 1}) {
      const SgdHyper s{0.1f, 0.9f, 0.01f, 0.5f};
      p = start, m = m0;
      for (size_t i = 0; i < Size(n); ++i) {
        const double g = 0.5 * static_cast<double>(grad[i]) + 0.01 * static_cast<double>(start[i]);
        wm[i] = 0.9 * static_cast<double>(m0[i]) + g;
        wp[i] = static_cast<double>(start[i]) - 0.1 * (nesterov ? g + 0.9 * wm[i] : wm[i]);
      }
      RunTwice(k.training->sgd, SgdArgs{p.data(), m.data(), grad.data(), &s, n, nesterov},
               {&p, &m});
      CheckClose(p, wp, 1e-6, 1e-6, "sgd: param");
      CheckClose(m, wm, 1e-6, 1e-6, "sgd: momentum");
    }
    const float decay = 0.75f;
    p = start;
    for (size_t i = 0; i < Size(n); ++i)
      wp[i] = 0.75 * static_cast<double>(start[i]) + 0.25 * static_cast<double>(grad[i]);
    RunTwice(k.training->ema, EmaArgs{p.data(), grad.data(), &decay, n}, {&p});
    CheckClose(p, wp, 1e-6, 1e-7, "ema");
    RunTwice(k.training->fill, FillArgs{p.data(), n, -1.5f}, {&p});
    Check(std::all_of(p.begin(), p.end(), [](float x) { return x == -1.5f; }), "fill");
    vector<float> parts(kParts, NAN), sum(1, NAN);
    RunTwice(k.training->sum_squares, SumSquaresArgs{grad.data(), parts.data(), n}, {&parts});
    RunTwice(k.training->sum_parts, SumPartsArgs{parts.data(), sum.data(), 1}, {&sum});
    CheckClose(sum, squares, 1e-6, 0, "sum of squares");
  }
}

void TestCrossEntropy(const CpuKernels& k) {
  for (int64_t cols : {2, 16, 33, 5003}) {
    for (const float smoothing : {0.0f, 0.1f}) {
      where = std::string(k.isa) + " cross_entropy of " + std::to_string(cols);
      const size_t rows = 5, wide = Size(cols);
      vector<float> x = Floats(rows * wide), loss(rows, NAN), dx(x.size(), NAN);
      const vector<float> dloss = Floats(rows);
      for (float& v : x) v *= 9;
      const vector<int32_t> labels = {0, static_cast<int32_t>(cols) - 1, kIgnored, 1, 0};
      vector<double> want(rows), grads(x.size());
      const double s = static_cast<double>(smoothing), share = s / static_cast<double>(cols);
      for (size_t r = 0; r < rows; ++r) {
        if (labels[r] == kIgnored) continue;
        double sum = 0;
        for (size_t i = 0; i < wide; ++i) sum += std::exp(static_cast<double>(x[r * wide + i]));
        for (size_t i = 0; i < wide; ++i) {
          const double v = static_cast<double>(x[r * wide + i]);
          const double target = (static_cast<int32_t>(i) == labels[r] ? 1 - s : 0.0) + share;
          want[r] += target * (std::log(sum) - v);
          grads[r * wide + i] = static_cast<double>(dloss[r]) * (std::exp(v) / sum - target);
        }
      }
      const CrossEntropyArgs a{x.data(), labels.data(), loss.data(), static_cast<int64_t>(rows),
                               cols,     smoothing};
      RunTwice(k.training->cross_entropy, a, {&loss});
      CheckClose(loss, want, 1e-5, 1e-5, "loss");
      RunTwice(k.training->cross_entropy_grad, CrossEntropyGradArgs{a, dloss.data(), dx.data()},
               {&dx});
      CheckClose(dx, grads, 1e-5, 1e-6, "gradient");
    }
  }
}

void TestNormGrad(const CpuKernels& k) {
  for (int64_t rows : {0, 1, 63, 200}) {
    for (int64_t cols : {2, 16, 33, 100}) {
      for (const bool layer : {false, true}) {
        where = std::string(k.isa) + (layer ? " layer" : " rms") + "_norm_grad " +
                std::to_string(rows) + "," + std::to_string(cols);
        const size_t n = Size(rows * cols), wide = Size(cols);
        const vector<float> x = Floats(n), w = Floats(wide), dy = Floats(n);
        vector<float> dx(n, NAN), wp(kParts * wide, NAN), bp(kParts * wide, NAN), dw(wide, NAN),
            db(wide, NAN);
        vector<double> wdx(n), wdw(wide), wdb(wide);
        for (size_t at = 0; at < n; at += wide) {
          double mean = 0, squares = 0, along = 0, total = 0;
          const double scale = 1 / static_cast<double>(cols);
          for (size_t i = 0; i < wide && layer; ++i) mean += static_cast<double>(x[at + i]) * scale;
          const auto centered = [&](size_t i) { return static_cast<double>(x[at + i]) - mean; };
          for (size_t i = 0; i < wide; ++i) squares += centered(i) * centered(i) * scale;
          const double r = 1 / std::sqrt(squares + 1e-3);
          for (size_t i = 0; i < wide; ++i) {
            const double d = static_cast<double>(dy[at + i]), g = d * static_cast<double>(w[i]);
            along += g * centered(i) * r * scale, total += layer ? g * scale : 0;
            wdw[i] += d * centered(i) * r, wdb[i] += d;
          }
          for (size_t i = 0; i < wide; ++i) {
            const double g = static_cast<double>(dy[at + i]) * static_cast<double>(w[i]);
            wdx[at + i] = r * (g - total - centered(i) * r * along);
          }
        }
        RunTwice(layer ? k.training->layer_norm_grad : k.training->rms_norm_grad,
                 NormGradArgs{x.data(), w.data(), dy.data(), dx.data(), wp.data(), bp.data(), rows,
                              cols, 1e-3f},
                 {&dx, &wp});
        CheckClose(dx, wdx, 1e-5, 2e-5, "dx");
        RunTwice(k.training->sum_parts, SumPartsArgs{wp.data(), dw.data(), cols}, {&dw});
        CheckClose(dw, wdw, 1e-5, 2e-5, "dweight");
        if (!layer) continue;
        RunTwice(k.training->sum_parts, SumPartsArgs{bp.data(), db.data(), cols}, {&db});
        CheckClose(db, wdb, 1e-5, 1e-5, "dbias");
      }
    }
  }
}

// Slopes against differences of the function itself, in float32: what they have in common is right to a few digits.
void TestActivationGrad(const CpuKernels& k) {
  for (int fn = 0; fn <= static_cast<int>(Activation::kSigmoid); ++fn) {
    where = std::string(k.isa) + " activation " + std::to_string(fn);
    const Activation f = static_cast<Activation>(fn);
    const int64_t n = 1003;
    vector<float> x = Floats(Size(n)), up = Floats(Size(n)), dy = Floats(Size(n));
    for (float& v : x) v *= 6;
    const float h = 0.015625f;
    vector<float> above = x, below = x, high(Size(n)), low(Size(n)), y(Size(n), NAN),
                  dx(Size(n), NAN), dup(Size(n), NAN);
    for (size_t i = 0; i < Size(n); ++i) above[i] += h, below[i] -= h;
    Run(k.training->activation, ActivationArgs{above.data(), nullptr, high.data(), n, f});
    Run(k.training->activation, ActivationArgs{below.data(), nullptr, low.data(), n, f});
    RunTwice(k.training->activation, ActivationArgs{x.data(), nullptr, y.data(), n, f}, {&y});
    vector<double> wdx(Size(n)), wdup(Size(n));
    for (size_t i = 0; i < Size(n); ++i) {
      const bool kink = f == Activation::kRelu && std::fabs(x[i]) <= 2 * h;
      if (kink) up[i] = 0;
      wdx[i] = static_cast<double>(up[i]) * static_cast<double>(dy[i]) *
               static_cast<double>(high[i] - low[i]) / static_cast<double>(above[i] - below[i]);
      wdup[i] = static_cast<double>(dy[i]) * static_cast<double>(y[i]);
    }
    RunTwice(k.training->activation_grad,
             ActivationGradArgs{x.data(), up.data(), dy.data(), dx.data(), dup.data(), n, f},
             {&dx, &dup});
    CheckClose(dx, wdx, 1e-3, 4e-4, "dx");
    CheckClose(dup, wdup, 1e-6, 1e-7, "dup");
  }
}

void TestRows(const CpuKernels& k) {
  for (int64_t width : {1, 16, 37}) {
    for (int64_t size : {1, 255, 700}) {
      where = std::string(k.isa) + " rows " + std::to_string(size) + "," + std::to_string(width);
      const int64_t count = 300;
      vector<int32_t> rows(Size(count));
      for (int32_t& r : rows) r = static_cast<int32_t>(Random() % Size(size));
      const vector<float> x = Floats(Size(count * width)), table = Floats(Size(size * width));
      vector<float> y(Size(size * width), NAN), z(x.size(), NAN);
      vector<double> sums(y.size()), picked(x.size());
      for (size_t i = 0; i < x.size(); ++i) {
        const size_t at = Size(rows[i / Size(width)] * width) + i % Size(width);
        sums[at] += static_cast<double>(x[i]);
        picked[i] = static_cast<double>(table[at]);
      }
      RunTwice(k.training->scatter_add,
               ScatterAddArgs{x.data(), rows.data(), y.data(), count, size, width}, {&y});
      CheckClose(y, sums, 1e-5, 2e-5, "scatter_add");
      RunTwice(k.training->gather, GatherArgs{table.data(), rows.data(), z.data(), count, width},
               {&z});
      CheckClose(z, picked, 0, 0, "gather");
    }
  }
}

void TestRopeRows(const CpuKernels& k) {
  for (const int interleaved : {0, 1}) {
    for (int64_t half : {1, 10, 32}) {
      where = std::string(k.isa) + " rope " + std::to_string(half);
      const int64_t rows = 3, heads = 2, dim = 2 * half + 5;
      const vector<float> x = Floats(Size(rows * heads * dim)), cos = Floats(Size(rows * half)),
                          sin = Floats(Size(rows * half));
      vector<float> y(x.size(), NAN);
      vector<double> want = Wide(x);
      for (int64_t r = 0; r < rows * heads; ++r) {
        for (int64_t i = 0; i < half; ++i) {
          const size_t a = Size(r * dim + (interleaved ? 2 * i : i)),
                       b = a + Size(interleaved ? 1 : half), at = Size(r / heads * half + i);
          const double c = static_cast<double>(cos[at]), s = static_cast<double>(sin[at]),
                       u = static_cast<double>(x[a]), v = static_cast<double>(x[b]);
          want[a] = u * c - v * s, want[b] = v * c + u * s;
        }
      }
      RunTwice(
          k.training->rope,
          RopeArgs{x.data(), cos.data(), sin.data(), y.data(), rows, heads, dim, half, interleaved},
          {&y});
      CheckClose(y, want, 1e-6, 1e-6, "value");
    }
  }
}

}  // namespace

void TestTraining(const CpuKernels& k) {
  TestPackedAttention(k);
  TestOptimizers(k);
  TestCrossEntropy(k);
  TestNormGrad(k);
  TestActivationGrad(k);
  TestRopeRows(k);
  TestRows(k);
}

}  // namespace triga::test
