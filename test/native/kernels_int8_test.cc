// Kernels of int8: rows to bytes, q8 panels, and the linears over both.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "test/native/kernels_harness.h"

namespace triga::test {
namespace {

constexpr int64_t kGroupBytes = (kGroup + 2) * 16;

size_t Groups(int64_t k) { return static_cast<size_t>((k + kGroup - 1) / kGroup); }
size_t PanelBytes(int64_t k) { return Groups(k) * kGroupBytes; }

// A byte of a q8 panel, and a scale.
char* ByteAt(char* panel, int64_t lane, int64_t k) {
  return panel + k / kGroup * kGroupBytes + k % kGroup / 4 * 64 + lane * 4 + k % 4;
}
char* ScaleAt(char* panel, int64_t lane, int64_t group) {
  return panel + group * kGroupBytes + kGroup * 16 + lane * 2;
}

// The definitions, a number at a time.
float Scale(const float* x, int64_t k) {
  float greatest = 0;
  for (int64_t i = 0; i < k; ++i) {
    if (!std::isfinite(x[i])) return std::numeric_limits<float>::quiet_NaN();
    greatest = std::max(greatest, std::fabs(x[i]));
  }
  return greatest / 127.0f;
}
int8_t Quantized(float x, float scale) {
  if (!(scale > 0)) return 0;
  return static_cast<int8_t>(std::min(127.0f, std::max(-127.0f, std::nearbyint(x / scale))));
}
// ggml's quantize_row_q8_0_ref for one group; where 1 / d is beyond f32, and d as f16 is 0, it is undefined, and ours 0.
uint16_t QuantizeQ8_0(const float* w, int64_t n, int8_t* q) {
  float greatest = 0;
  for (int64_t i = 0; i < n; ++i) greatest = std::max(greatest, std::fabs(w[i]));
  const float d = greatest / 127.0f, inverse = d != 0 && !std::isinf(1.0f / d) ? 1.0f / d : 0.0f;
  for (int64_t i = 0; i < n; ++i) q[i] = static_cast<int8_t>(std::round(w[i] * inverse));
  return ToF16(d);
}

int8_t AnyByte() { return static_cast<int8_t>(Random()); }

void TestRows(const CpuKernels& kernels) {
  for (int64_t k : {1, 15, 16, 31, 32, 33, 100, 256}) {
    where = std::string(kernels.isa) + " quantize_rows k" + std::to_string(k);
    const int64_t rows = 12, stride = k + 3, wide = static_cast<int64_t>(Groups(k)) * kGroup;
    vector<float> x = Floats(static_cast<size_t>((rows - 1) * stride + k));
    const auto row = [&](int64_t r) { return x.data() + r * stride; };
    for (int64_t i = 0; i < k; ++i) {
      row(1)[i] = 0;
      row(2)[i] *= 1e-43f;                                   // not normal, and so is the scale
      row(3)[i] = i == k / 2 ? 190 * 0x1p-149f : 0x1p-149f;  // beyond 127 scales
      row(4)[i] *= 1e38f;
      row(5)[i] = static_cast<float>(i % 255) - 127;  // halves once divided by a scale of 2
      row(6)[i] *= i == 0 ? 1e-30f : 1;
    }
    row(5)[0] = 254;
    row(7)[k - 1] = INFINITY;
    row(8)[0] = -INFINITY;
    row(9)[k / 2] = NAN;
    vector<int8_t> q(static_cast<size_t>(rows * wide), 55);
    vector<float> scale(static_cast<size_t>(rows));
    Run(kernels.quantize_rows, QuantizeRowsArgs{x.data(), q.data(), scale.data(), rows, k, stride},
        true);
    for (int64_t r = 0; r < rows; ++r) {
      const float s = Scale(row(r), k), got = scale[static_cast<size_t>(r)];
      Check(std::isnan(s) ? std::isnan(got) : Bits(s) == Bits(got),
            "scale of row " + std::to_string(r));
      for (int64_t i = 0; i < wide; ++i) {
        const int8_t want = i < k ? Quantized(row(r)[i], s) : int8_t{0};
        if (q[static_cast<size_t>(r * wide + i)] != want)
          Check(false, "row " + std::to_string(r) + " byte " + std::to_string(i));
      }
    }
    const vector<float> weight = Floats(static_cast<size_t>(k)), bias = Floats(weight.size());
    for (int layer = 0; layer < 2; ++layer) {
      vector<float> y(static_cast<size_t>(7 * k)), scales(7), want_scales(7);
      vector<int8_t> got(static_cast<size_t>(7 * wide), 1), want(got.size(), 2);
      NormArgs norm{x.data(), weight.data(), layer ? bias.data() : nullptr, y.data(), 7, k, stride,
                    k,        1e-5f};
      Run(layer ? kernels.layer_norm : kernels.rms_norm, norm);
      Run(kernels.quantize_rows,
          QuantizeRowsArgs{y.data(), want.data(), want_scales.data(), 7, k, k});
      norm.y = nullptr;
      Run(layer ? kernels.layer_norm_quantized : kernels.rms_norm_quantized,
          QuantizedNormArgs{norm, got.data(), scales.data()}, true);
      Check(got == want && SameBits(scales, want_scales), "a norm and its bytes in one");
    }
  }
}

struct PackCase {
  int64_t n, k, first;
  int gated, transposed;
  WeightType source;
};

void TestPackCase(const CpuKernels& kernels, const PackCase& c) {
  const size_t count = static_cast<size_t>(c.n * c.k);
  vector<float> w(count);
  vector<char> source(count * (c.source == WeightType::kF32 ? 4 : 2));
  for (size_t i = 0; i < count; ++i) {
    const float v = Uniform() * (i % 5 == 0 ? 1e-3f : 1.0f) * (i / 40 % 3 == 0 ? 1e-7f : 100.0f);
    if (c.source == WeightType::kF32) {
      w[i] = v;
      std::memcpy(&source[i * 4], &v, 4);
      continue;
    }
    const bool f16 = c.source == WeightType::kF16;
    const uint16_t h = f16 ? ToF16(v) : ToBF16(v);
    w[i] = f16 ? FromF16(h) : FromBF16(h);
    std::memcpy(&source[i * 2], &h, 2);
  }
  const int64_t panels = (c.first + c.n + 15) / 16 * (c.gated ? 2 : 1);
  vector<char> got(static_cast<size_t>(panels) * PanelBytes(c.k), 0x55), want = got;
  vector<int8_t> stored(count);
  vector<uint16_t> scales(static_cast<size_t>(c.n) * Groups(c.k));
  for (int64_t col = 0; col < c.n; ++col) {
    const int64_t at = c.first + col, p = c.gated ? at / 16 * 2 + c.gated - 1 : at / 16;
    char* panel = want.data() + static_cast<size_t>(p) * PanelBytes(c.k);
    for (int64_t g = 0; g < static_cast<int64_t>(Groups(c.k)); ++g) {
      float group[kGroup] = {};
      int8_t q[kGroup];
      const int64_t length = std::min(kGroup, c.k - g * kGroup);
      for (int64_t i = 0; i < length; ++i) {
        const int64_t k = g * kGroup + i;
        group[i] = w[static_cast<size_t>(c.transposed ? k * c.n + col : col * c.k + k)];
      }
      const uint16_t scale = QuantizeQ8_0(group, kGroup, q);
      scales[static_cast<size_t>(col) * Groups(c.k) + static_cast<size_t>(g)] = scale;
      std::memcpy(ScaleAt(panel, at % 16, g), &scale, 2);
      for (int64_t i = 0; i < kGroup; ++i) {
        *ByteAt(panel, at % 16, g * kGroup + i) = static_cast<char>(q[i] + 128);
        if (i < length) stored[static_cast<size_t>(col * c.k + g * kGroup + i)] = q[i];
      }
    }
  }
  const PackArgs pack{source.data(), got.data(),      c.n,          c.k,    c.first,
                      c.source,      WeightType::kQ8, c.transposed, c.gated};
  Run(kernels.pack_q8, PackQ8Args{pack, nullptr}, true);
  Check(got == want, "panels");
  std::fill(got.begin(), got.end(), 0x55);
  PackArgs again = pack;
  again.source = stored.data(), again.source_type = WeightType::kQ8, again.transposed = 0;
  Run(kernels.pack_q8, PackQ8Args{again, scales.data()}, true);
  Check(got == want, "panels of what is stored as q8");
}

void TestPackQ8(const CpuKernels& kernels) {
  for (WeightType source : {WeightType::kF32, WeightType::kF16, WeightType::kBF16}) {
    for (int64_t n : {1, 16, 40}) {
      for (int64_t k : {1, 15, 32, 33, 70, 128}) {
        for (int variant = 0; variant < 8; ++variant) {
          const PackCase c{n,
                           k,
                           variant / 4 ? 5 + 16 * static_cast<int64_t>(Random() % 2) : 0,
                           variant / 2 % 2 ? 1 + static_cast<int>(Random() % 2) : 0,
                           variant % 2,
                           source};
          where = std::string(kernels.isa) + " pack_q8 n" + std::to_string(n) + " k" +
                  std::to_string(k) + " variant " + std::to_string(variant) + " type " +
                  std::to_string(static_cast<int>(source));
          TestPackCase(kernels, c);
        }
      }
    }
  }
  // Halves away from 0; what f16 or 1 / d cannot hold; what is not finite leaves a scale that says so.
  where = std::string(kernels.isa) + " pack_q8 of strange groups";
  vector<float> w(16 * kGroup, 0.25f);
  const auto group = [&](int64_t row) { return w.data() + row * kGroup; };
  for (int64_t i = 0; i < kGroup; ++i) {
    group(1)[i] = static_cast<float>(i - 16) + 0.5f;  // with a scale of 1
    group(2)[i] = 0;
    group(3)[i] = 2e-38f * static_cast<float>(i);
    group(4)[i] = 1e-40f * static_cast<float>(i);
    group(5)[i] = -0.0f;
  }
  group(1)[0] = -127;
  group(6)[3] = NAN;
  group(7)[4] = -INFINITY;
  group(8)[5] = 127 * 65504.0f;
  group(9)[6] = 127 * 65520.0f;
  vector<char> panel(PanelBytes(kGroup));
  const PackArgs pack{w.data(),         panel.data(),    16, kGroup, 0,
                      WeightType::kF32, WeightType::kQ8, 0,  0};
  Run(kernels.pack_q8, PackQ8Args{pack, nullptr});
  for (int64_t row = 0; row < 16; ++row) {
    uint16_t scale;
    std::memcpy(&scale, ScaleAt(panel.data(), row, 0), 2);
    const bool finite = (scale & 0x7c00) != 0x7c00, strange = row == 6 || row == 7 || row == 9;
    Check(finite != strange, "scale of row " + std::to_string(row));
    if (strange) continue;
    int8_t q[kGroup];
    Check(QuantizeQ8_0(group(row), kGroup, q) == scale,
          "another scale of row " + std::to_string(row));
    for (int64_t i = 0; i < kGroup; ++i) {
      if (*ByteAt(panel.data(), row, i) != static_cast<char>(q[i] + 128))
        Check(false, "row " + std::to_string(row) + " byte " + std::to_string(i));
    }
  }
}

// q8 panels of n columns (gated: 2n) with bytes and scales at random.
vector<char> RandomPanels(int64_t panels, int64_t n, int64_t k, bool gated) {
  vector<char> w(static_cast<size_t>(panels) * PanelBytes(k), static_cast<char>(0x80));
  for (int64_t p = 0; p < panels; ++p) {
    char* panel = w.data() + static_cast<size_t>(p) * PanelBytes(k);
    for (int64_t g = 0; g < static_cast<int64_t>(Groups(k)); ++g) {
      for (int64_t l = 0; l < 16; ++l) {
        const bool there = (gated ? p / 2 : p) * 16 + l < n;
        const uint16_t scale = there ? ToF16(Uniform() * 0.01f) : uint16_t{0};
        std::memcpy(ScaleAt(panel, l, g), &scale, 2);
        for (int64_t i = g * kGroup; there && i < std::min(k, (g + 1) * kGroup); ++i)
          *ByteAt(panel, l, i) = static_cast<char>(AnyByte());
      }
    }
  }
  return w;
}

void TestEmbeddingQ8(const CpuKernels& kernels) {
  for (int64_t k : {1, 4, 31, 32, 33, 100}) {
    where = std::string(kernels.isa) + " embedding q8 k" + std::to_string(k);
    vector<char> panels = RandomPanels(3, 37, k, false);
    const vector<int32_t> ids = {36, 0, 17, 16, 15, 3};
    const int64_t rows = static_cast<int64_t>(ids.size());
    vector<float> y(static_cast<size_t>(rows * k)), want(y.size());
    for (int64_t r = 0; r < rows; ++r) {
      const int32_t id = ids[static_cast<size_t>(r)];
      char* panel = panels.data() + static_cast<size_t>(id / 16) * PanelBytes(k);
      for (int64_t i = 0; i < k; ++i) {
        uint16_t scale;
        std::memcpy(&scale, ScaleAt(panel, id % 16, i / kGroup), 2);
        const int u = static_cast<uint8_t>(*ByteAt(panel, id % 16, i));
        want[static_cast<size_t>(r * k + i)] = static_cast<float>(u - 128) * FromF16(scale);
      }
    }
    Run(kernels.embedding,
        EmbeddingArgs{panels.data(), ids.data(), y.data(), rows, k, WeightType::kQ8}, true);
    Check(SameBits(y, want), "value");
  }
}

// One chain over the groups as kernel.h has it, times the row's scale.
class Chain {
 public:
  explicit Chain(bool fused) : fused_(fused) {}
  void Add(int64_t sum, float scale) {
    const float s = static_cast<float>(sum);
    if (fused_) {
      acc_ = std::fma(s, scale, acc_);
    } else {
      volatile float product = s * scale;
      acc_ = acc_ + product;
    }
  }
  float Times(float scale) const { return acc_ * scale; }

 private:
  bool fused_;
  float acc_ = 0;
};

class LinearQ8 {
 public:
  LinearQ8(const CpuKernels& kernels, int64_t n, int64_t k, bool gated)
      : kernels_(kernels),
        n_(n),
        k_(k),
        wide_(static_cast<int64_t>(Groups(k)) * kGroup),
        gated_(gated),
        w_(RandomPanels((n + 15) / 16 * (gated ? 2 : 1), n, k, gated)),
        x_(static_cast<size_t>(kRows * wide_)),
        scales_(kRows),
        bias_(Floats(static_cast<size_t>((n + 15) / 16 * (gated ? 32 : 16)))),
        residual_(Floats(static_cast<size_t>(kRows * n))) {
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t i = 0; i < k; ++i) x_[static_cast<size_t>(r * wide_ + i)] = AnyByte();
      scales_[static_cast<size_t>(r)] = 0.01f + 0.01f * Uniform();
    }
  }

  static constexpr int64_t kRows = 129;

  vector<float> Rows(int64_t from, int64_t rows, Activation activation, bool extras,
                     bool shuffled) const {
    vector<int8_t> x(x_.begin() + from * wide_, x_.begin() + (from + rows) * wide_);
    vector<char> expanded(static_cast<size_t>(rows) * Groups(k_) * (2 * kGroup + 8));
    Run(kernels_.int8_rows, Int8RowsArgs{x.data(), expanded.data(), rows, wide_, kGroup, wide_},
        shuffled);
    vector<float> y(residual_.begin() + from * n_, residual_.begin() + (from + rows) * n_);
    LinearInt8Args a{};
    a.linear.x = expanded.data();
    a.linear.panels = w_.data();
    a.linear.bias = extras ? bias_.data() : nullptr;
    a.linear.residual = extras ? y.data() : nullptr;  // in place
    a.linear.y = y.data();
    a.linear.rows = rows, a.linear.n = n_, a.linear.k = k_;
    a.linear.residual_stride = a.linear.y_stride = n_;
    a.linear.activation = activation, a.linear.gated = gated_;
    a.x_scale = scales_.data() + from;
    a.group = kGroup;
    Run(kernels_.linear_q8, a, shuffled);
    return y;
  }

  // Before bias and activation: column c of the gate, or of the up projection.
  float Sum(int64_t r, int64_t c, int64_t up) {
    char* panel =
        w_.data() + static_cast<size_t>(gated_ ? c / 16 * 2 + up : c / 16) * PanelBytes(k_);
    Chain chain(std::strcmp(kernels_.isa, "scalar") != 0);
    for (int64_t g = 0; g < static_cast<int64_t>(Groups(k_)); ++g) {
      int64_t sum = 0;
      for (int64_t i = g * kGroup; i < std::min(k_, (g + 1) * kGroup); ++i)
        sum += x_[static_cast<size_t>(r * wide_ + i)] *
               (static_cast<uint8_t>(*ByteAt(panel, c % 16, i)) - 128);
      uint16_t scale;
      std::memcpy(&scale, ScaleAt(panel, c % 16, g), 2);
      chain.Add(sum, FromF16(scale));
    }
    return chain.Times(scales_[static_cast<size_t>(r)]);
  }

  void Test() {
    const vector<float> all = Rows(0, kRows, Activation::kNone, false, false);
    for (int64_t r : {0, 5, 128}) {
      for (int64_t c = 0; c < n_; ++c) {
        const float want = gated_ ? Sum(r, c, 0) * Sum(r, c, 1) : Sum(r, c, 0);
        if (Bits(all[static_cast<size_t>(r * n_ + c)]) != Bits(want))
          Check(false, "row " + std::to_string(r) + " column " + std::to_string(c) + " is " +
                           std::to_string(all[static_cast<size_t>(r * n_ + c)]) + ", not " +
                           std::to_string(want));
      }
    }
    Check(SameBits(all, Rows(0, kRows, Activation::kNone, false, true)), "tiles in any order");
    for (int64_t rows : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 25, 31, 32, 33, 48, 121}) {
      const int64_t from = static_cast<int64_t>(Random() % static_cast<uint64_t>(kRows - rows + 1));
      const vector<float> want(all.begin() + from * n_, all.begin() + (from + rows) * n_);
      Check(SameBits(Rows(from, rows, Activation::kNone, false, rows % 2), want),
            std::to_string(rows) + " rows differ from 129");
    }
    TestEpilogue();
  }

 private:
  void TestEpilogue() {
    const int64_t from = 3, rows = 9;
    const vector<float> y = Rows(from, rows, Activation::kSilu, true, false);
    vector<double> want(y.size());
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < n_; ++c) {
        const size_t b = static_cast<size_t>(gated_ ? c / 16 * 32 + c % 16 : c);
        double v = double{Sum(from + r, c, 0)} + bias_[b];
        v *= Sigmoid(v);
        if (gated_) v *= double{Sum(from + r, c, 1)} + bias_[b + 16];
        want[static_cast<size_t>(r * n_ + c)] =
            v + residual_[static_cast<size_t>((from + r) * n_ + c)];
      }
    }
    CheckClose(y, want, 3e-6, 1e-5, "bias, activation and residual");
  }

  const CpuKernels& kernels_;
  int64_t n_, k_, wide_;
  bool gated_;
  vector<char> w_;
  vector<int8_t> x_;
  vector<float> scales_, bias_, residual_;
};

// Groups of any length with f32 scales, bytes at their ends.
void TestGroups(const CpuKernels& kernels, int64_t rows, int64_t k, int64_t group) {
  where = std::string(kernels.isa) + " linear_int8 k" + std::to_string(k) + " group " +
          std::to_string(group) + " rows " + std::to_string(rows);
  const int64_t n = 37, panels = 3, groups = (k + group - 1) / group,
                padded = (group + kInt8Step - 1) / kInt8Step * kInt8Step, bytes = padded * 16 + 64;
  vector<int8_t> x(static_cast<size_t>(rows * k)), w(static_cast<size_t>(n * k));
  for (int8_t& v : x) v = Random() % 3 ? AnyByte() : int8_t{-128};
  for (int8_t& v : w) v = Random() % 3 ? AnyByte() : int8_t{-128};
  const vector<float> scales = Floats(static_cast<size_t>(n * groups)),
                      x_scales = Floats(static_cast<size_t>(rows));
  vector<char> packed(static_cast<size_t>(panels * groups * bytes), static_cast<char>(0x80));
  for (int64_t c = 0; c < panels * 16; ++c) {
    for (int64_t g = 0; g < groups; ++g) {
      char* to = packed.data() + (c / 16 * groups + g) * bytes;
      const float scale = c < n ? scales[static_cast<size_t>(c * groups + g)] : 0.0f;
      std::memcpy(to + padded * 16 + c % 16 * 4, &scale, 4);
      for (int64_t i = 0; c < n && i < std::min(group, k - g * group); ++i)
        to[i / 4 * 64 + c % 16 * 4 + i % 4] =
            static_cast<char>(w[static_cast<size_t>(c * k + g * group + i)] + 128);
    }
  }
  vector<char> expanded(static_cast<size_t>(rows * groups * (2 * padded + 8)));
  Run(kernels.int8_rows, Int8RowsArgs{x.data(), expanded.data(), rows, k, group, k}, true);
  vector<float> y(static_cast<size_t>(rows * n)), want(y.size());
  LinearInt8Args a{};
  a.linear.x = expanded.data(), a.linear.panels = packed.data(), a.linear.y = y.data();
  a.linear.rows = rows, a.linear.n = n, a.linear.k = k, a.linear.y_stride = n;
  a.x_scale = x_scales.data(), a.group = group;
  Run(kernels.linear_int8, a, true);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < n; ++c) {
      Chain chain(std::strcmp(kernels.isa, "scalar") != 0);
      for (int64_t g = 0; g < groups; ++g) {
        int64_t sum = 0;
        for (int64_t i = g * group; i < std::min(k, (g + 1) * group); ++i)
          sum += x[static_cast<size_t>(r * k + i)] * w[static_cast<size_t>(c * k + i)];
        chain.Add(sum, scales[static_cast<size_t>(c * groups + g)]);
      }
      want[static_cast<size_t>(r * n + c)] = chain.Times(x_scales[static_cast<size_t>(r)]);
    }
  }
  Check(SameBits(y, want), "value");
}

}  // namespace

void TestInt8(const CpuKernels& kernels) {
  TestRows(kernels);
  TestPackQ8(kernels);
  TestEmbeddingQ8(kernels);
  struct Size {
    int64_t n, k;
  };
  for (const Size& size : {Size{1, 1}, Size{15, 3}, Size{16, 32}, Size{17, 31}, Size{65, 64},
                           Size{100, 257}, Size{33, 1500}, Size{130, 601}, Size{17, 17000}}) {
    for (const bool gated : {false, true}) {
      where = std::string(kernels.isa) + " linear_q8 n" + std::to_string(size.n) + " k" +
              std::to_string(size.k) + (gated ? " gated" : "");
      LinearQ8(kernels, size.n, size.k, gated).Test();
    }
  }
  for (int64_t group : {1, 3, 4, 7, 8, 12, 32, 100, 700}) {
    for (int64_t k : {1, 5, 64, 333}) {
      for (int64_t rows : {13, 50}) TestGroups(kernels, rows, k, group);
    }
  }
}

}  // namespace triga::test
