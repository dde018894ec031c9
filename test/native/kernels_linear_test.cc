// Kernels of weight panels: pack, embedding and the linears.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "test/native/kernels_harness.h"

namespace triga::test {

namespace {

size_t PanelElements(WeightType t, int64_t panels, int64_t k) {
  return static_cast<size_t>(panels * 16 * (t == WeightType::kBF16 ? (k + 1) / 2 * 2 : k));
}
size_t PanelIndex(WeightType t, int64_t panel, int64_t lane, int64_t k, int64_t i) {
  if (t == WeightType::kBF16)
    return static_cast<size_t>(((panel * ((k + 1) / 2) + i / 2) * 16 + lane) * 2 + i % 2);
  return static_cast<size_t>((panel * k + i) * 16 + lane);
}
int64_t SizeOf(WeightType t) { return t == WeightType::kF32 ? 4 : 2; }
void Put(WeightType t, vector<char>& to, size_t i, float v) {
  const uint16_t h = t == WeightType::kF16 ? ToF16(v) : ToBF16(v);
  if (t == WeightType::kF32) {
    std::memcpy(&to[i * 4], &v, 4);
  } else {
    std::memcpy(&to[i * 2], &h, 2);
  }
}
float Get(WeightType t, const vector<char>& from, size_t i) {
  if (t == WeightType::kF32) {
    float v;
    std::memcpy(&v, &from[i * 4], 4);
    return v;
  }
  uint16_t h;
  std::memcpy(&h, &from[i * 2], 2);
  return t == WeightType::kF16 ? FromF16(h) : FromBF16(h);
}
const WeightType kTypes[] = {WeightType::kF32, WeightType::kF16, WeightType::kBF16};

double Activate(Activation a, double x) {
  switch (a) {
    case Activation::kNone:
      return x;
    case Activation::kSilu:
      return x * Sigmoid(x);
    case Activation::kGelu:
      return x * 0.5 * std::erfc(-x * std::sqrt(0.5));
    case Activation::kGeluTanh:
      return x * Sigmoid(2 * std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x));
    case Activation::kQuickGelu:
      return x * Sigmoid(1.702 * x);
    case Activation::kRelu:
      return x > 0 ? x : 0;
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kSigmoid:
      return Sigmoid(x);
  }
  return 0;
}

}  // namespace

void TestPack(const CpuKernels& kernels) {
  for (WeightType st : kTypes) {
    for (WeightType pt : kTypes) {
      if (st != pt && st != WeightType::kF32 && pt != WeightType::kF32) continue;
      for (int64_t n : {1, 7, 16, 40, 67}) {
        for (int64_t k : {1, 2, 15, 16, 33, 70}) {
          for (int variant = 0; variant < 8; ++variant) {
            const int transposed = variant % 2,
                      gated = variant / 2 % 2 ? 1 + static_cast<int>(Random() % 2) : 0;
            const int64_t first = variant / 4 ? 5 + 16 * static_cast<int64_t>(Random() % 2) : 0;
            where = std::string(kernels.isa) + " pack n" + std::to_string(n) + " k" +
                    std::to_string(k) + " types " + std::to_string(static_cast<int>(st)) +
                    std::to_string(static_cast<int>(pt)) + " first " + std::to_string(first) +
                    " gated " + std::to_string(gated) + " transposed " + std::to_string(transposed);
            vector<char> source(static_cast<size_t>(n * k * SizeOf(st)));
            for (size_t i = 0; i < static_cast<size_t>(n * k); ++i) {
              float v = Uniform() * (i % 5 == 0 ? 1e-6f : i % 7 == 0 ? 3e4f : 1.0f);
              if (i % 11 == 10) v = INFINITY;
              Put(st, source, i, v);
            }
            const int64_t panels = (first + n + 15) / 16 * (gated ? 2 : 1);
            vector<char> got(PanelElements(pt, panels, k) * static_cast<size_t>(SizeOf(pt)), 0x55),
                want;
            for (int64_t p = 0; p < panels;
                 ++p) {  // columns that are not ours must stay; k padding of ours is 0
              for (int64_t l = 0; l < 16; ++l) {
                if (pt == WeightType::kBF16 && k % 2) {
                  const size_t i = PanelIndex(pt, p, l, k, k);
                  const int64_t c = (gated ? p / 2 : p) * 16 + l - first;
                  if (c >= 0 && c < n && (!gated || p % 2 == gated - 1)) Put(pt, got, i, 0);
                }
              }
            }
            want = got;
            for (int64_t c = 0; c < n; ++c) {
              const int64_t col = first + c, p = gated ? col / 16 * 2 + gated - 1 : col / 16;
              for (int64_t i = 0; i < k; ++i) {
                const float v =
                    Get(st, source, static_cast<size_t>(transposed ? i * n + c : c * k + i));
                Put(pt, want, PanelIndex(pt, p, col % 16, k, i), v);
              }
            }
            Run(kernels.pack,
                PackArgs{source.data(), got.data(), n, k, first, st, pt, transposed, gated}, true);
            Check(got == want, "panels");
          }
        }
      }
    }
  }
}

void TestEmbedding(const CpuKernels& kernels) {
  for (WeightType t : kTypes) {
    for (int64_t k : {1, 2, 15, 16, 17, 50}) {
      where = std::string(kernels.isa) + " embedding k" + std::to_string(k);
      const int64_t n = 37, rows = 9;
      vector<char> panels(PanelElements(t, 3, k) * static_cast<size_t>(SizeOf(t)));
      for (size_t i = 0; i < PanelElements(t, 3, k); ++i) Put(t, panels, i, Uniform());
      vector<int32_t> ids(rows);
      for (int32_t& id : ids) id = static_cast<int32_t>(Random() % n);
      ids[0] = 36;
      vector<float> y(static_cast<size_t>(rows * k)), want(y.size());
      for (int64_t r = 0; r < rows; ++r) {
        const int32_t id = ids[static_cast<size_t>(r)];
        for (int64_t i = 0; i < k; ++i)
          want[static_cast<size_t>(r * k + i)] =
              Get(t, panels, PanelIndex(t, id / 16, id % 16, k, i));
      }
      Run(kernels.embedding, EmbeddingArgs{panels.data(), ids.data(), y.data(), rows, k, t}, true);
      Check(SameBits(y, want), "value");
    }
  }
}

void TestLinear(const CpuKernels& kernels) {
  const bool fused = std::strcmp(kernels.isa, "scalar") != 0;
  const int64_t row_counts[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 25, 32, 33, 129};
  struct Size {
    int64_t n, k;
  };
  const Size sizes[] = {{1, 1},   {15, 3},    {16, 16},   {17, 31},  {64, 0},
                        {65, 64}, {100, 257}, {33, 1500}, {130, 601}};
  for (int type = 0; type < 4; ++type) {
    const bool dot = type == 3;
    if (dot && !kernels.linear_bf16_dot.run) continue;
    const WeightType t = dot ? WeightType::kBF16 : kTypes[type];
    const Kernel<LinearArgs>& kernel = dot         ? kernels.linear_bf16_dot
                                       : type == 0 ? kernels.linear_f32
                                       : type == 1 ? kernels.linear_f16
                                                   : kernels.linear_bf16;
    for (const Size& size : sizes) {
      for (int gated = 0; gated < 2; ++gated) {
        const int64_t n = size.n, k = size.k, panels = (n + 15) / 16 * (1 + gated), max_rows = 129;
        where = std::string(kernels.isa) + " linear type " + std::to_string(type) + " n" +
                std::to_string(n) + " k" + std::to_string(k) + (gated ? " gated" : "");
        vector<char> w(PanelElements(t, panels, k) * static_cast<size_t>(SizeOf(t)), 0);
        for (int64_t p = 0; p < panels; ++p) {
          for (int64_t l = 0; l < 16; ++l) {
            if ((gated ? p / 2 : p) * 16 + l >= n) continue;
            for (int64_t i = 0; i < k; ++i) Put(t, w, PanelIndex(t, p, l, k, i), Uniform());
          }
        }
        const vector<float> bias = Floats(static_cast<size_t>(panels * 16));
        const int64_t x_stride = dot ? (k + 1) / 2 * 2 : k;
        vector<float> x(static_cast<size_t>(max_rows * x_stride));
        for (size_t i = 0; i < x.size(); ++i) {
          x[i] = dot && k % 2 && static_cast<int64_t>(i) % x_stride == k ? 0 : Uniform();
          if (dot) x[i] = FromBF16(ToBF16(x[i]));
        }
        const vector<float> residual = Floats(static_cast<size_t>(max_rows * n));
        const auto run = [&](int64_t from, int64_t rows, Activation act, bool extras,
                             bool shuffled) {
          // Rows in buffers of exactly their size.
          vector<float> xs(x.begin() + from * x_stride, x.begin() + (from + rows) * x_stride);
          vector<uint16_t> hs(xs.size());
          for (int64_t r = 0; r < rows; ++r) {
            for (int64_t c = 0; c < x_stride; ++c)
              hs[PlaceOfBF16(kernels, rows, x_stride, r, c)] =
                  ToBF16(xs[static_cast<size_t>(r * x_stride + c)]);
          }
          vector<float> y(residual.begin() + from * n, residual.begin() + (from + rows) * n);
          LinearArgs a{};
          a.x = dot ? static_cast<const void*>(hs.data()) : xs.data();
          a.panels = w.data();
          a.bias = extras ? bias.data() : nullptr;
          a.residual = extras ? y.data() : nullptr;  // in place
          a.y = y.data();
          a.rows = rows, a.n = n, a.k = k;
          a.x_stride = x_stride, a.residual_stride = a.y_stride = n;
          a.activation = act, a.gated = gated;
          Run(kernel, a, shuffled);
          return y;
        };
        const auto column = [&](int64_t r, int64_t c, int64_t up, double* magnitude) {
          const int64_t p = gated ? c / 16 * 2 + up : c / 16;
          double sum = 0;
          float chain = 0;
          for (int64_t i = 0; i < k; ++i) {
            const float u = x[static_cast<size_t>(r * x_stride + i)],
                        v = Get(t, w, PanelIndex(t, p, c % 16, k, i));
            sum += static_cast<double>(u) * v;
            *magnitude += std::fabs(static_cast<double>(u) * v);
            if (fused) {
              chain = std::fma(u, v, chain);
            } else {
              volatile float product = u * v;
              chain = chain + product;
            }
          }
          return dot ? sum : static_cast<double>(chain);
        };
        const vector<float> all = run(0, max_rows, Activation::kNone, false, false);
        // The chain itself, bit for bit (the dot product: within its error).
        for (int64_t r : {0, 5, 128}) {
          for (int64_t c = 0; c < n; ++c) {
            double m = 0;
            const double g = column(r, c, 0, &m), u = gated ? column(r, c, 1, &m) : 1;
            const float got = all[static_cast<size_t>(r * n + c)];
            const float want =
                gated ? static_cast<float>(g) * static_cast<float>(u) : static_cast<float>(g);
            const bool ok = dot ? std::fabs(got - g * u) <= 1e-5 * (1 + m) * (gated ? 1 + m : 1)
                                : Bits(got) == Bits(want);
            if (!ok)
              Check(false, "row " + std::to_string(r) + " column " + std::to_string(c) + " is " +
                               std::to_string(got) + ", not " + std::to_string(want));
          }
        }
        Check(SameBits(all, run(0, max_rows, Activation::kNone, false, true)),
              "tiles in any order");
        for (int64_t rows : row_counts) {
          const int64_t from =
              rows == 0
                  ? 0
                  : static_cast<int64_t>(Random() % static_cast<uint64_t>(max_rows - rows + 1));
          const vector<float> some = run(from, rows, Activation::kNone, false, rows % 2);
          const vector<float> want(all.begin() + from * n, all.begin() + (from + rows) * n);
          Check(SameBits(some, want), std::to_string(rows) + " rows differ from 129");
        }
        for (int act = 0; act <= 7; ++act) {
          const vector<float> y = run(3, 9, static_cast<Activation>(act), true, false);
          vector<double> want(y.size());
          for (int64_t r = 0; r < 9; ++r) {
            for (int64_t c = 0; c < n; ++c) {
              double m = 0;
              const int64_t b = gated ? c / 16 * 32 + c % 16 : c;
              double v = Activate(static_cast<Activation>(act),
                                  column(3 + r, c, 0, &m) + bias[static_cast<size_t>(b)]);
              if (gated) v *= column(3 + r, c, 1, &m) + bias[static_cast<size_t>(b + 16)];
              want[static_cast<size_t>(r * n + c)] =
                  v + residual[static_cast<size_t>((3 + r) * n + c)];
            }
          }
          CheckClose(y, want, 3e-6, dot ? 5e-4 : 1e-5, "activation " + std::to_string(act));
          const vector<float> one = run(7, 1, static_cast<Activation>(act), true, true);
          Check(std::equal(one.begin(), one.end(), y.begin() + 4 * n,
                           [](float u, float v) { return Bits(u) == Bits(v); }),
                "activation on one row");
        }
      }
    }
  }
}

}  // namespace triga::test
