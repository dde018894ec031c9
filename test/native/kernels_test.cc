// Checks every kernel of every level that this CPU can run: against float64, and bit for bit
// wherever kernel.h promises that rows, tiles and chunks do not matter. Buffers have exactly the
// size they need, so run it under --sanitize too.
// Build and run: node scripts/build_native_tests.mjs --run
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernels/cpu/kernel.h"

namespace triga {
#ifdef TRIGA_EMULATED_TABLE
extern const CpuKernels TRIGA_EMULATED_TABLE;
#endif
}  // namespace triga

using namespace triga;
using std::vector;

namespace {

int failures = 0;
std::string where;

void Check(bool ok, const std::string& what) {
  if (ok) return;
  if (++failures <= 40) std::printf("FAIL %s: %s\n", where.c_str(), what.c_str());
}

uint64_t state = 88172645463325252ull;
uint64_t Random() {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}
float Uniform() { return static_cast<float>(Random() >> 40) / 8388608.0f - 1.0f; }
vector<float> Floats(size_t n) {
  vector<float> v(n);
  for (float& x : v) x = Uniform();
  return v;
}

uint32_t Bits(float x) {
  uint32_t u;
  std::memcpy(&u, &x, 4);
  return u;
}
float FromBits(uint32_t u) {
  float x;
  std::memcpy(&x, &u, 4);
  return x;
}
bool SameBits(const vector<float>& a, const vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * 4) == 0);
}
float FromBF16(uint16_t h) { return FromBits(static_cast<uint32_t>(h) << 16); }
uint16_t ToBF16(float x) {
  const uint32_t u = Bits(x);
  if (std::isnan(x)) return static_cast<uint16_t>(u >> 16 | 0x40);
  return static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
float FromF16(uint16_t h) {
  const int e = h >> 10 & 31, m = h & 1023;
  const float sign = h & 0x8000 ? -1.0f : 1.0f;
  if (e == 31) return m ? std::numeric_limits<float>::quiet_NaN() : sign * INFINITY;
  return sign * (e ? std::ldexp(1024.0f + static_cast<float>(m), e - 25)
                   : std::ldexp(static_cast<float>(m), -24));
}
uint16_t ToF16(float x) {
  if (std::isnan(x)) return 0x7e00;
  uint16_t best = 0;  // by search over the ordered magnitudes
  const float a = std::fabs(x);
  int lo = 0, hi = 0x7c00;
  while (hi - lo > 1) {
    const int mid = (lo + hi) / 2;
    (FromF16(static_cast<uint16_t>(mid)) <= a ? lo : hi) = mid;
  }
  const double below = FromF16(static_cast<uint16_t>(lo));
  const double above = hi == 0x7c00 ? 65536.0 : FromF16(static_cast<uint16_t>(hi));
  const double middle = (below + above) / 2;
  best = static_cast<uint16_t>(a < middle || (a == middle && lo % 2 == 0) ? lo : hi);
  if (std::isinf(x)) best = 0x7c00;
  return static_cast<uint16_t>(best | (std::signbit(x) ? 0x8000 : 0));
}

// All tiles at once, or one by one in random order, each with scratch memory of exactly the size
// asked for, full of NaN.
template <class Args>
void Run(const Kernel<Args>& kernel, const Args& args, bool shuffled = false) {
  const int64_t tiles = kernel.tiles(args);
  const size_t bytes = kernel.scratch ? kernel.scratch(args) : 0;
  char* scratch =
      static_cast<char*>(std::aligned_alloc(64, std::max<size_t>((bytes + 63) / 64 * 64, 64)));
  const auto fill = [&] { std::memset(scratch, 0xff, bytes); };
  if (shuffled) {
    vector<int64_t> order(static_cast<size_t>(tiles));
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[Random() % i]);
    for (int64_t t : order) {
      fill();
      kernel.run(args, t, t + 1, scratch);
    }
  } else if (tiles > 0) {
    fill();
    kernel.run(args, 0, tiles, scratch);
  }
  std::free(scratch);
}

void CheckClose(const vector<float>& got, const vector<double>& want, double rel, double abs,
                const std::string& what) {
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    double excess;
    if (std::isnan(want[i]) || std::isinf(want[i])) {
      const bool same = std::isnan(want[i]) ? std::isnan(got[i]) : got[i] == want[i];
      excess = same ? 0 : 1e30;
    } else {
      const double error = std::fabs(got[i] - want[i]);
      excess = error == 0 ? 0 : error / (abs + rel * std::fabs(want[i]));
      if (!(excess >= 0)) excess = 1e30;
    }
    if (excess > worst) worst = excess, at = i;
  }
  char text[200];
  if (worst > 1) {
    std::snprintf(text, sizeof text, "element %zu is %.9g, not %.9g (%.1f times the tolerance)", at,
                  static_cast<double>(got[at]), want[at], worst);
    Check(false, what + ": " + text);
  }
}

double Erf(double x) { return std::erf(x); }
double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
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

double UlpError(float got, double want) {
  if (std::isnan(want)) return std::isnan(got) ? 0 : 1e30;
  const float w = static_cast<float>(want);
  if (std::isinf(w) || std::isinf(got)) {
    return w == got || std::fabs(want) > 3.4028e38 || (std::isinf(w) && std::fabs(got) > 3.4028e38f)
               ? 0
               : 1e30;
  }
  int e;
  std::frexp(w, &e);
  return std::fabs(got - want) / std::ldexp(1.0, std::max(e - 24, -149));
}

// ---- elementwise

void TestUnary(const CpuKernels& k) {
  vector<float> x = {0.0f,   -0.0f,   INFINITY, -INFINITY, NAN,     1e-40f,  -1e-40f, 88.7f,
                     88.73f, 89.5f,   -87.4f,   -103.9f,   -103.0f, -105.0f, 3e38f,   -3e38f,
                     0.625f, -0.625f, 1.0f,     -1.0f,     6.0f,    1e-8f,   9.1f};
  for (int i = 0; i < 60000; ++i)
    x.push_back(Uniform() * (i % 3 == 0 ? 110.0f : i % 3 == 1 ? 8.0f : 1.2f));
  struct Case {
    UnaryOp op;
    double (*f)(double);
    double ulp, abs;
  };
  const Case cases[] = {
      {UnaryOp::kNeg, [](double v) { return -v; }, 0, 0},
      {UnaryOp::kAbs, [](double v) { return std::fabs(v); }, 0, 0},
      {UnaryOp::kExp, [](double v) { return std::exp(v); }, 2, 0},
      {UnaryOp::kLog, [](double v) { return std::log(v); }, 1, 0},
      {UnaryOp::kSqrt, [](double v) { return std::sqrt(v); }, 0.51, 0},
      {UnaryOp::kRsqrt, [](double v) { return 1 / std::sqrt(v); }, 1.6, 0},
      {UnaryOp::kTanh, [](double v) { return std::tanh(v); }, 4, 0},
      {UnaryOp::kErf, Erf, 2.5, 1.2e-7},
      {UnaryOp::kSigmoid, Sigmoid, 4, 4e-39},
      {UnaryOp::kSin, [](double v) { return std::sin(v); }, 1, 0},
      {UnaryOp::kCos, [](double v) { return std::cos(v); }, 1, 0},
      {UnaryOp::kRelu, [](double v) { return std::isnan(v) ? v
                                             : v > 0       ? v
                                                           : 0; }, 0, 0},
  };
  for (const Case& c : cases) {
    where = std::string(k.isa) + " unary " + std::to_string(static_cast<int>(c.op));
    vector<float> y(x.size()), z(x.size());
    Run(k.unary, UnaryArgs{x.data(), y.data(), static_cast<int64_t>(x.size()), c.op});
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = c.f(x[i]);
      if (std::fabs(y[i] - want) <= c.abs) continue;
      const double e = UlpError(y[i], want);
      if (e > worst) worst = e, at = i;
    }
    if (worst > c.ulp) {
      std::printf("  x %.9g gives %.9g, %.2f ulp off\n", static_cast<double>(x[at]),
                  static_cast<double>(y[at]), worst);
    }
    Check(worst <= c.ulp, "accuracy");
    Run(k.unary, UnaryArgs{x.data(), z.data(), static_cast<int64_t>(x.size()), c.op}, true);
    Check(SameBits(y, z), "tiles in any order");
    for (int64_t n : {0, 1, 15, 16, 17}) {
      vector<float> s(x.begin(), x.begin() + n), t(static_cast<size_t>(n));
      Run(k.unary, UnaryArgs{s.data(), t.data(), n, c.op});
      Check(std::equal(t.begin(), t.end(), y.begin(),
                       [](float a, float b) { return Bits(a) == Bits(b); }),
            "tail");
    }
  }
}

void TestBinaryAndCopy(const CpuKernels& k) {
  struct Shape {
    vector<int64_t> dims, a, b;
  };
  const vector<Shape> shapes = {
      {{}, {}, {}},
      {{37}, {1}, {1}},
      {{37}, {0}, {1}},
      {{5, 19}, {19, 1}, {0, 1}},
      {{5, 19}, {1, 0}, {19, 1}},
      {{3, 1, 50000}, {50000, 0, 1}, {50000, 7, 1}},
      {{4, 5, 33}, {1, 4, 20}, {165, 33, 1}},
      {{2, 3, 2, 3, 2, 5}, {180, 60, 30, 10, 5, 1}, {0, 5, 0, 0, 0, 1}},
      {{2, 0, 3}, {3, 3, 1}, {3, 3, 1}},
      {{200, 300}, {1, 200}, {300, 1}},
  };
  const auto extent = [](const vector<int64_t>& d, const vector<int64_t>& s) {
    int64_t last = 0;
    for (size_t i = 0; i < d.size(); ++i) last += std::max<int64_t>(d[i] - 1, 0) * s[i];
    return static_cast<size_t>(last + 1);
  };
  for (const Shape& s : shapes) {
    int64_t n = 1;
    for (int64_t d : s.dims) n *= d;
    vector<float> a = Floats(extent(s.dims, s.a)), b = Floats(extent(s.dims, s.b));
    for (size_t i = 0; i < a.size(); i += 7) a[i] = std::round(a[i] * 2);
    for (size_t i = 0; i < b.size(); i += 5) b[i] = std::round(b[i] * 2);
    if (a.size() > 9) a[9] = NAN;
    if (b.size() > 12) b[12] = NAN;
    vector<int64_t> ia(static_cast<size_t>(n)), ib(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) {
      int64_t rest = i;
      for (size_t d = s.dims.size(); d-- > 0;) {
        ia[static_cast<size_t>(i)] += rest % s.dims[d] * s.a[d];
        ib[static_cast<size_t>(i)] += rest % s.dims[d] * s.b[d];
        rest /= s.dims[d];
      }
    }
    for (int op = 0; op <= 8; ++op) {
      where = std::string(k.isa) + " binary " + std::to_string(op) + " rank " +
              std::to_string(s.dims.size());
      vector<float> y(static_cast<size_t>(n)), z(y.size());
      BinaryArgs args{a.data(), b.data(), y.data(), static_cast<int32_t>(s.dims.size()),
                      {},       {},       {},       static_cast<BinaryOp>(op)};
      std::copy(s.dims.begin(), s.dims.end(), args.dims);
      std::copy(s.a.begin(), s.a.end(), args.a_strides);
      std::copy(s.b.begin(), s.b.end(), args.b_strides);
      Run(k.binary, args);
      vector<double> want(y.size());
      for (size_t i = 0; i < want.size(); ++i) {
        const double u = a[static_cast<size_t>(ia[i])], v = b[static_cast<size_t>(ib[i])];
        const bool nan = std::isnan(u) || std::isnan(v);
        switch (static_cast<BinaryOp>(op)) {
          case BinaryOp::kAdd:
            want[i] = u + v;
            break;
          case BinaryOp::kSub:
            want[i] = u - v;
            break;
          case BinaryOp::kMul:
            want[i] = u * v;
            break;
          case BinaryOp::kDiv:
            want[i] = u / v;
            break;
          case BinaryOp::kMax:
            want[i] = nan ? NAN : std::max(u, v);
            break;
          case BinaryOp::kMin:
            want[i] = nan ? NAN : std::min(u, v);
            break;
          case BinaryOp::kPow:
            want[i] = std::pow(u, v);
            break;
          case BinaryOp::kLess:
            want[i] = u < v;
            break;
          case BinaryOp::kEqual:
            want[i] = u == v;
            break;
        }
      }
      CheckClose(y, want, 1.3e-7, 0, "value");
      args.y = z.data();
      Run(k.binary, args, true);
      Check(SameBits(y, z), "tiles in any order");
    }
    where = std::string(k.isa) + " copy rank " + std::to_string(s.dims.size());
    vector<float> y(static_cast<size_t>(n) * 2), want(y.size());
    CopyArgs args{a.data(), y.data(), static_cast<int32_t>(s.dims.size()), {}, {}, {}};
    int64_t stride = 2;  // every second element of y
    for (size_t d = s.dims.size(); d-- > 0;) {
      args.dims[d] = s.dims[d];
      args.x_strides[d] = s.a[d];
      args.y_strides[d] = stride;
      stride *= s.dims[d];
    }
    for (int64_t i = 0; i < n; ++i)
      want[static_cast<size_t>(2 * i)] = a[static_cast<size_t>(ia[static_cast<size_t>(i)])];
    Run(k.copy, args, true);
    Check(SameBits(y, want), "value");
  }
}

void TestReduce(const CpuKernels& k) {
  for (int64_t outer : {0, 1, 3, 40}) {
    for (int64_t n : {0, 1, 2, 15, 16, 17, 33, 1023, 1025, 5000}) {
      for (int64_t inner : {1, 2, 17}) {
        where = std::string(k.isa) + " reduce " + std::to_string(outer) + "," + std::to_string(n) +
                "," + std::to_string(inner);
        const size_t count = static_cast<size_t>(outer * n * inner),
                     results = static_cast<size_t>(outer * inner);
        const vector<float> x = Floats(count);
        const auto at = [&](int64_t o, int64_t i, int64_t c) {
          return static_cast<double>(x[static_cast<size_t>((o * n + i) * inner + c)]);
        };
        vector<double> sums(results), maxima(results, -INFINITY), soft(count), logs(count);
        for (int64_t o = 0; o < outer; ++o) {
          for (int64_t c = 0; c < inner; ++c) {
            const size_t r = static_cast<size_t>(o * inner + c);
            double e = 0;
            for (int64_t i = 0; i < n; ++i)
              sums[r] += at(o, i, c), maxima[r] = std::max(maxima[r], at(o, i, c)),
                                      e += std::exp(at(o, i, c));
            for (int64_t i = 0; i < n; ++i) {
              const size_t p = static_cast<size_t>((o * n + i) * inner + c);
              soft[p] = std::exp(at(o, i, c)) / e;
              logs[p] = at(o, i, c) - std::log(e);
            }
          }
        }
        vector<float> y(results), z(results), s(count), t = x;
        Run(k.reduce, ReduceArgs{x.data(), y.data(), outer, n, inner, ReduceOp::kSum});
        CheckClose(y, sums, 1e-6, 2e-5, "sum");
        Run(k.reduce, ReduceArgs{x.data(), z.data(), outer, n, inner, ReduceOp::kSum}, true);
        Check(SameBits(y, z), "sum, tiles in any order");
        Run(k.reduce, ReduceArgs{x.data(), y.data(), outer, n, inner, ReduceOp::kMax}, true);
        CheckClose(y, maxima, 0, 0, "max");
        Run(k.softmax, SoftmaxArgs{x.data(), s.data(), outer, n, inner, 0}, true);
        CheckClose(s, soft, 1e-6, 1e-9, "softmax");
        Run(k.softmax, SoftmaxArgs{t.data(), t.data(), outer, n, inner, 1});
        CheckClose(t, logs, 1e-6, 1e-6, "log softmax in place");
      }
    }
  }
  where = std::string(k.isa) + " reduce of NaN";
  for (int64_t inner : {1, 3}) {
    vector<float> x(static_cast<size_t>(40 * inner), 1.0f), y(static_cast<size_t>(inner));
    for (int64_t c = 0; c < inner; ++c) x[static_cast<size_t>(21 * inner + c)] = NAN;
    for (ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax}) {
      Run(k.reduce, ReduceArgs{x.data(), y.data(), 1, 40, inner, op});
      for (float v : y) Check(std::isnan(v), "NaN");
    }
  }
}

void TestRowStats(const CpuKernels& k) {
  for (int64_t n : {1, 2, 15, 16, 17, 100, 1024, 1025, 3000, 32003}) {
    where = std::string(k.isa) + " row_stats " + std::to_string(n);
    vector<float> x = Floats(static_cast<size_t>(n));
    for (float& v : x) v *= 20;
    const auto expect = [&](const char* what) {
      int64_t best = -1;
      for (int64_t i = 0; i < n; ++i) {
        if (!std::isnan(x[static_cast<size_t>(i)]) &&
            (best < 0 || x[static_cast<size_t>(i)] > x[static_cast<size_t>(best)]))
          best = i;
      }
      const RowStats s = k.row_stats(x.data(), n);
      Check(s.argmax == std::max<int64_t>(best, 0), std::string("argmax ") + what);
      if (best < 0) return;
      Check(s.max == x[static_cast<size_t>(best)], std::string("max ") + what);
      double sum = 0;
      for (float v : x) sum += std::exp(static_cast<double>(v) - s.max);
      if (std::isfinite(sum))
        CheckClose({s.sum_exp}, {sum}, 2e-6, 0, std::string("sum_exp ") + what);
      if (std::isnan(sum) && std::isfinite(s.max))
        Check(std::isnan(s.sum_exp), std::string("NaN ") + what);
    };
    expect("random");
    x[static_cast<size_t>(n / 2)] = x[static_cast<size_t>(n - 1)] = 30;
    expect("tie");
    for (size_t i = 0; i < x.size(); ++i)
      if (i % 3 != 1) x[i] = -INFINITY;
    expect("-inf");
    x[0] = NAN;
    expect("NaN");
    std::fill(x.begin(), x.end(), -INFINITY);
    const RowStats s = k.row_stats(x.data(), n);
    Check(s.argmax == 0 && s.max == -INFINITY, "all -inf");
  }
}

void TestToBF16(const CpuKernels& k) {
  for (int64_t rows : {0, 1, 3}) {
    for (int64_t cols : {1, 2, 15, 16, 17, 33, 64}) {
      where = std::string(k.isa) + " to_bf16 " + std::to_string(cols);
      const int64_t even = (cols + 1) / 2 * 2;
      vector<float> x(static_cast<size_t>(rows * cols));
      for (float& v : x) v = FromBits(static_cast<uint32_t>(Random()));
      if (!x.empty()) x[0] = FromBits(0x3f808000), x.back() = FromBits(0x7f800001);
      vector<uint16_t> y(static_cast<size_t>(rows * even), 0x1234), want(y.size());
      Run(k.to_bf16, ToBF16Args{x.data(), y.data(), rows, cols, cols, even}, true);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < cols; ++c)
          want[static_cast<size_t>(r * even + c)] = ToBF16(x[static_cast<size_t>(r * cols + c)]);
      }
      Check(y == want, "value");
    }
  }
}

// ---- weights

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
  const int64_t row_counts[] = {0, 1, 2, 3, 7, 8, 9, 16, 33, 129};
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
        vector<uint16_t> xh(x.size());
        for (size_t i = 0; i < x.size(); ++i) {
          x[i] = dot && k % 2 && static_cast<int64_t>(i) % x_stride == k ? 0 : Uniform();
          xh[i] = ToBF16(x[i]);
          if (dot) x[i] = FromBF16(xh[i]);
        }
        const vector<float> residual = Floats(static_cast<size_t>(max_rows * n));
        const auto run = [&](int64_t from, int64_t rows, Activation act, bool extras,
                             bool shuffled) {
          // Rows in buffers of exactly their size.
          vector<float> xs(x.begin() + from * x_stride, x.begin() + (from + rows) * x_stride);
          vector<uint16_t> hs(xh.begin() + from * x_stride, xh.begin() + (from + rows) * x_stride);
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

// ---- rows

void TestNorm(const CpuKernels& k) {
  for (int64_t cols : {1, 2, 15, 16, 17, 31, 33, 64, 100, 768, 2049}) {
    const int64_t rows = 9;
    where = std::string(k.isa) + " norm " + std::to_string(cols);
    vector<float> x = Floats(static_cast<size_t>(rows * cols)),
                  w = Floats(static_cast<size_t>(cols)), b = Floats(static_cast<size_t>(cols));
    for (float& v : x) v += 3;
    for (int variant = 0; variant < 4; ++variant) {
      const float* wp = variant & 1 ? w.data() : nullptr;
      const float* bp = variant & 2 ? b.data() : nullptr;
      for (int layer = 0; layer < 2; ++layer) {
        vector<float> y(x.size()), z(x.size());
        vector<double> want(x.size());
        const NormArgs args{x.data(), wp, bp, y.data(), rows, cols, cols, cols, 1e-5f};
        NormArgs other = args;
        other.y = z.data();
        Run(layer ? k.layer_norm : k.rms_norm, args);
        Run(layer ? k.layer_norm : k.rms_norm, other, true);
        Check(SameBits(y, z), "tiles in any order");
        for (int64_t r = 0; r < rows; ++r) {
          double mean = 0, square = 0;
          for (int64_t c = 0; c < cols; ++c)
            mean += x[static_cast<size_t>(r * cols + c)] / static_cast<double>(cols);
          if (!layer) mean = 0;
          for (int64_t c = 0; c < cols; ++c)
            square += std::pow(x[static_cast<size_t>(r * cols + c)] - mean, 2) /
                      static_cast<double>(cols);
          for (int64_t c = 0; c < cols; ++c) {
            double v = (x[static_cast<size_t>(r * cols + c)] - mean) / std::sqrt(square + 1e-5f);
            if (wp) v *= wp[c];
            if (bp) v += bp[c];
            want[static_cast<size_t>(r * cols + c)] = v;
          }
        }
        // A single column's variance is rounding alone: (x − mean)² of some ulp beside eps.
        CheckClose(y, want, 2e-6, layer ? 2e-5 : 1e-6, layer ? "layer_norm" : "rms_norm");
      }
    }
  }
}

void TestRope(const CpuKernels& k) {
  where = std::string(k.isa) + " rope_table";
  const int64_t rows = 5;
  const vector<int32_t> positions = {0, 1, 77, 4096, 131071}, set = {0, 1, 0, 1, 1};
  const vector<float> freq = {1.0f, 0.1f, 0.003f, 0.9f, 0.2f, 1e-5f};
  for (const int32_t* s : {static_cast<const int32_t*>(nullptr), set.data()}) {
    vector<float> c(15), d(15);
    vector<double> wc(15), wd(15);
    Run(k.rope_table,
        RopeTableArgs{positions.data(), s, freq.data(), c.data(), d.data(), rows, 3, 1.5f}, true);
    for (size_t r = 0; r < 5; ++r) {
      for (size_t i = 0; i < 3; ++i) {
        const float angle =
            static_cast<float>(positions[r]) * freq[(s ? static_cast<size_t>(s[r]) * 3 : 0) + i];
        wc[r * 3 + i] = 1.5 * std::cos(static_cast<double>(angle));
        wd[r * 3 + i] = 1.5 * std::sin(static_cast<double>(angle));
      }
    }
    CheckClose(c, wc, 2e-7, 1e-9, "cos");
    CheckClose(d, wd, 2e-7, 1e-9, "sin");
  }
  for (int64_t dim : {1, 2, 6, 16, 64, 80, 100}) {
    for (int variant = 0; variant < 16; ++variant) {
      where = std::string(k.isa) + " rope_kv_write " + std::to_string(dim) + " variant " +
              std::to_string(variant);
      const int64_t heads = 6, kv = 2, n = 4, half = variant & 8 ? dim / 4 : dim / 2;
      const bool table = variant & 1, norms = variant & 2, interleaved = variant & 4;
      const int64_t width = (heads + 2 * kv) * dim;
      const vector<float> qkv = Floats(static_cast<size_t>(n * width)),
                          cos = Floats(static_cast<size_t>(n * half)),
                          sin = Floats(static_cast<size_t>(n * half)),
                          qn = Floats(static_cast<size_t>(dim)),
                          kn = Floats(static_cast<size_t>(dim));
      const vector<int32_t> slots = {17, -1, 47, 0};
      const size_t cache = static_cast<size_t>(3 * kv * dim * 16);
      vector<float> q(static_cast<size_t>(n * heads * dim)), kc(cache, 9), vc(cache, 9),
          kw(cache, 9), vw(cache, 9);
      vector<double> qw(q.size());
      const RopeKvWriteArgs args{qkv.data(),
                                 table ? cos.data() : nullptr,
                                 table ? sin.data() : nullptr,
                                 norms ? qn.data() : nullptr,
                                 norms ? kn.data() : nullptr,
                                 q.data(),
                                 kc.data(),
                                 vc.data(),
                                 slots.data(),
                                 n,
                                 width,
                                 heads,
                                 kv,
                                 dim,
                                 half,
                                 interleaved,
                                 1e-6f};
      Run(k.rope_kv_write, args, true);
      const auto head = [&](const float* x, const vector<float>& norm, int64_t r) {
        vector<double> v(x, x + dim), w;
        if (norms) {
          double s = 0;
          for (double e : v) s += e * e / static_cast<double>(dim);
          for (size_t i = 0; i < v.size(); ++i) v[i] *= norm[i] / std::sqrt(s + 1e-6f);
        }
        w = v;
        for (int64_t i = 0; table && i < half; ++i) {
          const size_t a = static_cast<size_t>(interleaved ? 2 * i : i),
                       b = static_cast<size_t>(interleaved ? 2 * i + 1 : i + half);
          const double c = cos[static_cast<size_t>(r * half + i)],
                       s = sin[static_cast<size_t>(r * half + i)];
          w[a] = v[a] * c - v[b] * s;
          w[b] = v[b] * c + v[a] * s;
        }
        return w;
      };
      vector<double> kd(kw.begin(), kw.end());
      for (int64_t r = 0; r < n; ++r) {
        for (int64_t h = 0; h < heads; ++h) {
          const vector<double> w = head(&qkv[static_cast<size_t>(r * width + h * dim)], qn, r);
          std::copy(w.begin(), w.end(), qw.begin() + (r * heads + h) * dim);
        }
        const int64_t slot = slots[static_cast<size_t>(r)];
        if (slot < 0) continue;
        for (int64_t h = 0; h < kv; ++h) {
          const vector<double> w =
              head(&qkv[static_cast<size_t>(r * width + (heads + h) * dim)], kn, r);
          for (int64_t i = 0; i < dim; ++i) {
            kd[static_cast<size_t>(((slot / 16 * kv + h) * dim + i) * 16 + slot % 16)] =
                w[static_cast<size_t>(i)];
            vw[static_cast<size_t>(((slot / 16 * kv + h) * 16 + slot % 16) * dim + i)] =
                qkv[static_cast<size_t>(r * width + (heads + kv + h) * dim + i)];
          }
        }
      }
      CheckClose(q, qw, 1e-6, 1e-6, "q");
      CheckClose(kc, kd, 1e-6, 1e-6, "k cache");
      Check(SameBits(vc, vw), "v cache");
    }
  }
}

// ---- attention

struct AttentionCase {
  int64_t heads, kv_heads, dim, window;
  int causal;
  float softcap;
  bool slopes;
  vector<int64_t> lengths;
};

void TestAttention(const CpuKernels& k) {
  const vector<AttentionCase> cases = {
      {1, 1, 1, 0, 1, 0, false, {1}},        {4, 4, 16, 0, 1, 0, false, {70, 3, 0, 130}},
      {8, 2, 64, 0, 1, 0, false, {200, 65}}, {6, 2, 80, 0, 1, 30, false, {131, 16}},
      {7, 1, 33, 0, 1, 0, true, {100, 64}},  {4, 2, 64, 50, 1, 0, false, {190}},
      {2, 2, 20, 7, 0, 0, true, {77}},       {32, 1, 24, 0, 0, 0, false, {90, 5}},
      {2, 1, 512, 0, 1, 0, false, {80}},     {50, 2, 5, 1, 1, 2, false, {66}},
  };
  int number = 0;
  for (const AttentionCase& c : cases) {
    where = std::string(k.isa) + " attention case " + std::to_string(number++);
    const int64_t batch = static_cast<int64_t>(c.lengths.size()), group = c.heads / c.kv_heads;
    int64_t total = 0, max_blocks = 1, blocks = 1;
    for (int64_t n : c.lengths)
      total += n, max_blocks = std::max(max_blocks, (n + 15) / 16), blocks += (n + 15) / 16;
    const int64_t qs = c.heads * c.dim + 3;  // rows apart, the last one without the gap
    vector<float> q = Floats(static_cast<size_t>(total * qs - 3));
    for (float& v : q) v *= 4;
    const vector<float> slopes = Floats(static_cast<size_t>(c.heads));
    // Blocks in a scattered order; entries past a sequence's end would crash; memory that no key
    // holds is NaN.
    vector<int32_t> table(static_cast<size_t>(batch * max_blocks), INT32_MAX / 2), free_blocks;
    for (int64_t i = 0; i < blocks; ++i) free_blocks.push_back(static_cast<int32_t>(i));
    for (size_t i = free_blocks.size(); i > 1; --i)
      std::swap(free_blocks[i - 1], free_blocks[Random() % i]);
    const size_t cache = static_cast<size_t>(blocks * c.kv_heads * c.dim * 16);
    vector<float> kc(cache, NAN), vc(cache, NAN);
    vector<vector<float>> keys, values;  // by sequence: [length, kv_heads, dim]
    vector<int64_t> starts = {0};
    for (int64_t b = 0; b < batch; ++b) {
      const int64_t n = c.lengths[static_cast<size_t>(b)];
      for (int64_t i = 0; i < (n + 15) / 16; ++i) {
        table[static_cast<size_t>(b * max_blocks + i)] = free_blocks.back();
        free_blocks.pop_back();
      }
      keys.push_back(Floats(static_cast<size_t>(n * c.kv_heads * c.dim)));
      values.push_back(Floats(static_cast<size_t>(n * c.kv_heads * c.dim)));
      starts.push_back(starts.back() + n);
    }
    const auto write = [&](vector<float>& kk, vector<float>& vv, int64_t b, int64_t j) {
      for (int64_t h = 0; h < c.kv_heads; ++h) {
        const int64_t base =
            (table[static_cast<size_t>(b * max_blocks + j / 16)] * c.kv_heads + h) * c.dim * 16;
        for (int64_t d = 0; d < c.dim; ++d) {
          const size_t from = static_cast<size_t>((j * c.kv_heads + h) * c.dim + d);
          kk[static_cast<size_t>(base + d * 16 + j % 16)] = keys[static_cast<size_t>(b)][from];
          vv[static_cast<size_t>(base + j % 16 * c.dim + d)] = values[static_cast<size_t>(b)][from];
        }
      }
    };
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t j = 0; j < c.lengths[static_cast<size_t>(b)]; ++j) write(kc, vc, b, j);
    const float scale = 1 / std::sqrt(static_cast<float>(c.dim));
    const auto make = [&](const vector<int32_t>& q_starts, const vector<int32_t>& contexts,
                          const vector<int32_t>& blocks_of, const vector<float>& queries,
                          const vector<float>& kk, const vector<float>& vv, vector<float>& y) {
      AttentionArgs a{};
      a.q = queries.data(), a.k_cache = kk.data(), a.v_cache = vv.data(), a.y = y.data();
      a.q_starts = q_starts.data(), a.context_lens = contexts.data(),
      a.block_tables = blocks_of.data();
      a.slopes = c.slopes ? slopes.data() : nullptr;
      a.batch = static_cast<int64_t>(contexts.size()), a.heads = c.heads, a.kv_heads = c.kv_heads,
      a.head_dim = c.dim;
      a.max_blocks = max_blocks, a.q_stride = qs, a.y_stride = c.heads * c.dim;
      a.window = c.window, a.causal = c.causal, a.scale = scale, a.softcap = c.softcap;
      return a;
    };
    vector<int32_t> q_starts(starts.begin(), starts.end()),
        contexts(c.lengths.begin(), c.lengths.end());
    vector<float> y(static_cast<size_t>(total * c.heads * c.dim)), z(y.size());
    Run(k.attention, make(q_starts, contexts, table, q, kc, vc, y));
    Run(k.attention, make(q_starts, contexts, table, q, kc, vc, z), true);
    Check(SameBits(y, z), "tiles in any order");
    // float64
    vector<double> want(y.size());
    for (int64_t b = 0; b < batch; ++b) {
      const int64_t n = c.lengths[static_cast<size_t>(b)];
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t h = 0; h < c.heads; ++h) {
          const float* row =
              &q[static_cast<size_t>((starts[static_cast<size_t>(b)] + i) * qs + h * c.dim)];
          vector<double> s, out(static_cast<size_t>(c.dim));
          vector<int64_t> seen;
          for (int64_t j = 0; j < n; ++j) {
            if ((c.causal && j > i) || (c.window && i - j >= c.window)) continue;
            double dot = 0;
            for (int64_t d = 0; d < c.dim; ++d)
              dot += static_cast<double>(row[d]) *
                     keys[static_cast<size_t>(b)]
                         [static_cast<size_t>((j * c.kv_heads + h / group) * c.dim + d)];
            dot *= scale;
            if (c.softcap != 0) dot = c.softcap * std::tanh(dot / c.softcap);
            if (c.slopes)
              dot +=
                  static_cast<double>(slopes[static_cast<size_t>(h)]) * static_cast<double>(j - i);
            s.push_back(dot);
            seen.push_back(j);
          }
          const double top = *std::max_element(s.begin(), s.end());
          double sum = 0;
          for (double& e : s) sum += e = std::exp(e - top);
          for (int64_t d = 0; d < c.dim; ++d) {
            double v = 0;
            for (size_t e = 0; e < s.size(); ++e)
              v += s[e] / sum *
                   values[static_cast<size_t>(b)]
                         [static_cast<size_t>((seen[e] * c.kv_heads + h / group) * c.dim + d)];
            want[static_cast<size_t>(((starts[static_cast<size_t>(b)] + i) * c.heads + h) * c.dim +
                                     d)] = v;
          }
        }
      }
    }
    CheckClose(y, want, 1e-5, 5e-6, "value");
    if (!c.causal) continue;
    // Each sequence alone and in chunks; keys come when their rows do, the last ones poisoned
    // before.
    for (int64_t chunk : {1, 2, 5, 16, 23, 64, 100}) {
      if (chunk == 1 && c.dim == 512) continue;
      for (int64_t b = 0; b < batch; ++b) {
        const int64_t n = c.lengths[static_cast<size_t>(b)];
        vector<float> kk(cache, NAN), vv(cache, NAN);
        const vector<int32_t> mine(table.begin() + b * max_blocks,
                                   table.begin() + (b + 1) * max_blocks);
        for (int64_t at = 0; at < n; at += chunk) {
          const int64_t rows = std::min(chunk, n - at), from = starts[static_cast<size_t>(b)] + at;
          for (int64_t j = at; j < at + rows; ++j) write(kk, vv, b, j);
          const vector<float> part(q.begin() + from * qs, q.begin() + (from + rows) * qs - 3);
          vector<float> out(static_cast<size_t>(rows * c.heads * c.dim));
          const vector<int32_t> two = {0, static_cast<int32_t>(rows)},
                                context = {static_cast<int32_t>(at + rows)};
          Run(k.attention, make(two, context, mine, part, kk, vv, out), true);
          const vector<float> same(y.begin() + from * c.heads * c.dim,
                                   y.begin() + (from + rows) * c.heads * c.dim);
          Check(SameBits(out, same),
                "chunks of " + std::to_string(chunk) + " at " + std::to_string(at));
        }
      }
    }
    // A later key that is NaN must leave no trace in earlier rows.
    if (c.lengths[0] > 2) {
      const int64_t n = c.lengths[0];
      vector<float> kk = kc, vv = vc;
      std::fill(keys[0].end() - c.kv_heads * c.dim, keys[0].end(), NAN);
      std::fill(values[0].end() - c.kv_heads * c.dim, values[0].end(), NAN);
      write(kk, vv, 0, n - 1);
      Run(k.attention, make(q_starts, contexts, table, q, kk, vv, z));
      const int64_t before = (n - 1) * c.heads * c.dim;
      Check(std::memcmp(y.data(), z.data(), static_cast<size_t>(before) * 4) == 0,
            "NaN reaches earlier rows");
      Check(std::isnan(z[static_cast<size_t>(before)]), "NaN in its own row");
    }
  }
  // A row that sees no key gives 0: more rows than keys.
  where = std::string(k.isa) + " attention without keys";
  const vector<int32_t> starts = {0, 3}, context = {1}, table = {0};
  vector<float> q = Floats(24), kc(128, NAN), vc(128, NAN), y(24, 5);
  for (int i = 0; i < 8; ++i)
    kc[static_cast<size_t>(i * 16)] = 1, vc[static_cast<size_t>(i)] = static_cast<float>(i);
  AttentionArgs a{};
  a.q = q.data(), a.k_cache = kc.data(), a.v_cache = vc.data(), a.y = y.data();
  a.q_starts = starts.data(), a.context_lens = context.data(), a.block_tables = table.data();
  a.batch = a.heads = a.kv_heads = a.max_blocks = a.causal = 1;
  a.head_dim = a.q_stride = a.y_stride = 8, a.scale = 1;
  Run(k.attention, a);
  for (size_t i = 0; i < 24; ++i)
    Check(y[i] == (i < 16 ? 0.0f : static_cast<float>(i - 16)), "value");
}

void TestLevel(const CpuKernels& k) {
  TestUnary(k);
  TestBinaryAndCopy(k);
  TestReduce(k);
  TestRowStats(k);
  TestToBF16(k);
  TestPack(k);
  TestEmbedding(k);
  TestLinear(k);
  TestNorm(k);
  TestRope(k);
  TestAttention(k);
  std::printf("%s: %d failures so far\n", k.isa, failures);
}

}  // namespace

int main() {
#ifdef TRIGA_EMULATED_TABLE
  TestLevel(TRIGA_EMULATED_TABLE);
#else
  const char* names[8];
  const int count = AvailableIsas(names);
  where = "dispatch";
  Check(count > 0 && SelectKernels(nullptr) == SelectKernels(names[0]),
        "the best level comes first");
  Check(SelectKernels("none such") == nullptr, "an unknown level");
  Check(std::strcmp(names[count - 1], "scalar") == 0, "scalar is always there");
  for (int i = 0; i < count; ++i) TestLevel(*SelectKernels(names[i]));
#endif
  return failures ? 1 : 0;
}
