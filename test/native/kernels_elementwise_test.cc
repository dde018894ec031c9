// unary, binary, copy and the conversion to bf16.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "test/native/kernels_harness.h"

namespace triga::test {

namespace {

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

}  // namespace

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
      {UnaryOp::kErf, [](double v) { return std::erf(v); }, 2.5, 1.2e-7},
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

void TestToBF16(const CpuKernels& k) {
  for (int64_t rows : {0, 1, 3, 16, 35, 130}) {
    for (int64_t cols : {1, 2, 15, 16, 17, 33, 64, 70}) {
      for (const int32_t transposed : {0, 1}) {
        where = std::string(k.isa) + " to_bf16 " + std::to_string(cols) + (transposed ? " T" : "");
        const int64_t even = (cols + 1) / 2 * 2, stride = transposed ? rows : cols;
        vector<float> x(static_cast<size_t>(rows * cols)), turned(x.size()), y32(x.size());
        for (float& v : x) v = FromBits(static_cast<uint32_t>(Random()));
        if (!x.empty()) x[0] = FromBits(0x3f808000), x.back() = FromBits(0x7f800001);
        vector<uint16_t> y(static_cast<size_t>(rows * even), 0x1234), want(y.size());
        Run(k.to_bf16, ToBF16Args{x.data(), y.data(), rows, cols, stride, even, transposed}, true);
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t c = 0; c < cols; ++c) {
            const float from = x[static_cast<size_t>(transposed ? c * rows + r : r * cols + c)];
            want[PlaceOfBF16(k, rows, even, r, c)] = ToBF16(from);
            turned[static_cast<size_t>(r * cols + c)] = from;
          }
        }
        Check(y == want, "value");
        if (!transposed) continue;
        Run(k.transpose, TransposeArgs{x.data(), y32.data(), rows, cols, rows, cols}, true);
        Check(SameBits(y32, turned), "transposed");
      }
    }
  }
}

}  // namespace triga::test
