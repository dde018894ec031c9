// Kernels over rows and columns: reduce, softmax, row_stats and the norms.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "test/native/kernels_harness.h"

namespace triga::test {

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
        CheckClose(y, sums, 1e-6, 1e-5 + 1e-8 * static_cast<double>(n), "sum");
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
        double deviation = 1;  // the least of any row
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
          deviation = std::min(deviation, std::sqrt(square + 1e-5f));
          for (int64_t c = 0; c < cols; ++c) {
            double v = (x[static_cast<size_t>(r * cols + c)] - mean) / std::sqrt(square + 1e-5f);
            if (wp) v *= wp[c];
            if (bp) v += bp[c];
            want[static_cast<size_t>(r * cols + c)] = v;
          }
        }
        // x − mean is off by an ulp or so of the mean (3), which the norm magnifies.
        CheckClose(y, want, 2e-6, layer ? 5e-7 / deviation : 1e-6,
                   layer ? "layer_norm" : "rms_norm");
      }
    }
  }
}

}  // namespace triga::test
