// Kernels of gradients: unary_grad, reduce_grad, conv2d_turn, conv2d_grad_w, pool2d_grad, group_norm_grad; and pad, and conv2d whose
// places lie apart.
#include "kernels/cpu/kernel_gradients.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "test/native/kernels_harness.h"

namespace triga::test {

namespace {

size_t Size(int64_t n) { return static_cast<size_t>(n); }

// Runs a kernel in order and in any order of tiles, and checks that both give the same bits.
template <class Args>
vector<float> RunTwice(const Kernel<Args>& kernel, Args args, float* Args::* out, size_t n) {
  vector<float> y(n, NAN), z(n, NAN);
  args.*out = y.data();
  Run(kernel, args);
  args.*out = z.data();
  Run(kernel, args, true);
  Check(SameBits(y, z), "tiles in any order");
  return y;
}

double SlopeOf(Derivative of, double v) {
  switch (of) {
    case Derivative::kAbs:
      return v > 0 ? 1 : v < 0 ? -1 : 0;
    case Derivative::kExp:
      return v;
    case Derivative::kLog:
      return 1 / v;
    case Derivative::kSqrt:
      return 0.5 / v;
    case Derivative::kRsqrt:
      return -0.5 * v * v * v;
    case Derivative::kTanh:
      return 1 - v * v;
    case Derivative::kErf:
      return 2 / std::sqrt(M_PI) * std::exp(-v * v);
    case Derivative::kSigmoid:
      return v * (1 - v);
    case Derivative::kSin:
      return std::cos(v);
    case Derivative::kCos:
      return -std::sin(v);
    case Derivative::kRelu:
      return v > 0 ? 1 : 0;
  }
  return NAN;
}

void TestUnaryGrad(const CpuKernels& k) {
  for (int of = 0; of <= static_cast<int>(Derivative::kRelu); ++of) {
    for (int64_t n : {1, 15, 16, 40000}) {
      where = std::string(k.isa) + " unary_grad " + std::to_string(of) + "," + std::to_string(n);
      const Derivative derivative = static_cast<Derivative>(of);
      const vector<float> v = Floats(Size(n)), dy = Floats(Size(n));
      vector<double> want(v.size());
      for (size_t i = 0; i < v.size(); ++i)
        want[i] = static_cast<double>(dy[i]) * SlopeOf(derivative, v[i]);
      const UnaryGradArgs args{v.data(), dy.data(), nullptr, n, derivative};
      CheckClose(RunTwice(k.gradients->unary_grad, args, &UnaryGradArgs::dx, v.size()), want, 2e-6,
                 5e-7, "value");
    }
  }
}

void TestReduceGrad(const CpuKernels& k) {
  for (int64_t outer : {1, 3, 300}) {
    for (int64_t n : {1, 17, 130}) {
      for (int64_t inner : {1, 5, 16, 130}) {
        const int64_t size = outer * n * inner;
        vector<float> x = Floats(Size(size)), dy = Floats(Size(outer * inner)), y(dy.size());
        for (float& v : x) v = std::round(v * 3);  // so that some are equal
        vector<double> sum(x.size()), share(x.size());
        for (int64_t at = 0; at < outer * inner; ++at) {
          const auto place = [&](int64_t j) {
            return Size((at / inner * n + j) * inner + at % inner);
          };
          float greatest = -INFINITY;
          for (int64_t j = 0; j < n; ++j) greatest = std::max(greatest, x[place(j)]);
          int count = 0;
          for (int64_t j = 0; j < n; ++j) count += x[place(j)] == greatest;
          y[Size(at)] = greatest;
          for (int64_t j = 0; j < n; ++j) {
            sum[place(j)] = dy[Size(at)];
            share[place(j)] = x[place(j)] == greatest ? dy[Size(at)] / double(count) : 0;
          }
        }
        for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax}) {
          where = std::string(k.isa) + " reduce_grad " + std::to_string(static_cast<int>(op)) +
                  " " + std::to_string(outer) + "," + std::to_string(n) + "," +
                  std::to_string(inner);
          const bool is_sum = op == ReduceOp::kSum;
          const ReduceGradArgs args{dy.data(),
                                    is_sum ? nullptr : x.data(),
                                    is_sum ? nullptr : y.data(),
                                    nullptr,
                                    outer,
                                    n,
                                    inner,
                                    op};
          CheckClose(RunTwice(k.gradients->reduce_grad, args, &ReduceGradArgs::dx, x.size()),
                     is_sum ? sum : share, 1e-7, 0, "value");
        }
      }
    }
  }
}

void TestPad(const CpuKernels& k) {
  for (int64_t before : {0, 1, 40}) {
    for (int64_t after : {0, 3}) {
      for (int64_t inner : {1, 7, 5000}) {
        where = std::string(k.isa) + " pad " + std::to_string(before) + "," +
                std::to_string(after) + "," + std::to_string(inner);
        const int64_t outer = 3, n = 2, row = (before + n + after) * inner;
        const vector<float> x = Floats(Size(outer * n * inner));
        vector<float> want(Size(outer * row)), y(want.size(), NAN);
        for (int64_t o = 0; o < outer; ++o)
          std::copy_n(&x[Size(o * n * inner)], n * inner, &want[Size(o * row + before * inner)]);
        Run(k.pad, PadArgs{x.data(), y.data(), outer, n, inner, before, after}, true);
        Check(SameBits(y, want), "value");
      }
    }
  }
}

struct Case {
  int64_t images, groups, in, out, height, width, kernel_h, kernel_w, stride_h, stride_w, pad_h,
      pad_w;
};

Window WindowOf(const Case& c) {
  return {c.height,
          c.width,
          (c.height + 2 * c.pad_h - c.kernel_h) / c.stride_h + 1,
          (c.width + 2 * c.pad_w - c.kernel_w) / c.stride_w + 1,
          c.kernel_h,
          c.kernel_w,
          c.stride_h,
          c.stride_w,
          c.pad_h,
          c.pad_w};
}

std::string NameOf(const Case& c) {
  std::string name;
  for (int64_t n : {c.images, c.groups, c.in, c.out, c.height, c.width, c.kernel_h, c.kernel_w,
                    c.stride_h, c.stride_w, c.pad_h, c.pad_w})
    name += " " + std::to_string(n);
  return name;
}

// Around the edges of blocks of pixels (128), pieces (1024), tiles (64 numbers of a kernel), register tiles and chunks of channels.
const Case kCases[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0},    {2, 1, 3, 5, 4, 16, 3, 3, 1, 1, 1, 1},
    {1, 1, 8, 12, 5, 17, 3, 3, 1, 1, 1, 1},  {3, 1, 7, 13, 20, 33, 3, 3, 1, 1, 1, 1},
    {1, 1, 2, 121, 3, 15, 3, 3, 1, 1, 0, 0}, {1, 1, 70, 7, 6, 20, 1, 1, 1, 1, 0, 0},
    {1, 1, 5, 6, 13, 41, 3, 3, 2, 2, 1, 1},  {1, 1, 2, 3, 11, 50, 2, 5, 3, 2, 0, 4},
    {1, 1, 1, 2, 2, 3, 5, 5, 1, 1, 2, 2},    {1, 1, 2, 2, 4, 4, 1, 1, 1, 1, 20, 20},
    {1, 1, 3, 4, 9, 300, 3, 3, 1, 1, 1, 1},  {2, 3, 4, 5, 6, 18, 3, 3, 1, 1, 1, 1},
    {1, 18, 1, 1, 5, 20, 3, 3, 1, 1, 1, 1},  {1, 1, 3, 4, 9, 70, 3, 20, 1, 17, 1, 10},
    {0, 1, 3, 4, 9, 9, 3, 3, 1, 1, 1, 1},
};

void TestConv2dGradW(const CpuKernels& k) {
  for (const Case& c : kCases) {
    for (int64_t count : {1, 3}) {
      where =
          std::string(k.isa) + " conv2d_grad_w" + NameOf(c) + ", parts " + std::to_string(count);
      const Window w = WindowOf(c);
      const int64_t depth = c.in * c.kernel_h * c.kernel_w, channels = c.groups * c.out;
      const int64_t lines = c.images * w.out_height;
      const vector<float> x = Floats(Size(c.images * c.groups * c.in * c.height * c.width)),
                          dy = Floats(Size(c.images * channels * w.out_height * w.out_width));
      vector<double> want(Size(count * channels * depth));
      for (int64_t part = 0; part < count; ++part) {
        for (int64_t line = lines * part / count; line < lines * (part + 1) / count; ++line) {
          const int64_t image = line / w.out_height, oy = line % w.out_height;
          for (int64_t i = 0; i < channels * depth; ++i) {
            const int64_t o = i / depth, d = i % depth;
            const int64_t iy = oy * c.stride_h - c.pad_h + d / c.kernel_w % c.kernel_h;
            if (iy < 0 || iy >= c.height) continue;
            const int64_t channel =
                (image * c.groups + o / c.out) * c.in + d / (c.kernel_h * c.kernel_w);
            for (int64_t ox = 0; ox < w.out_width; ++ox) {
              const int64_t ix = ox * c.stride_w - c.pad_w + d % c.kernel_w;
              if (ix < 0 || ix >= c.width) continue;
              const int64_t place = ((image * channels + o) * w.out_height + oy) * w.out_width + ox;
              want[Size(part * channels * depth + i)] +=
                  static_cast<double>(dy[Size(place)]) *
                  x[Size((channel * c.height + iy) * c.width + ix)];
            }
          }
        }
      }
      const Conv2dGradWArgs args{x.data(), dy.data(), nullptr, c.images, c.groups,
                                 c.in,     c.out,     w,       count};
      CheckClose(RunTwice(k.gradients->conv2d_grad_w, args, &Conv2dGradWArgs::parts, want.size()),
                 want, 1e-6, 1e-7 * static_cast<double>(w.out_width * lines) + 1e-6, "value");
    }
  }
}

void TestConv2dTurn(const CpuKernels& k) {
  for (const Case& c : kCases) {
    where = std::string(k.isa) + " conv2d_turn" + NameOf(c);
    const int64_t size = c.kernel_h * c.kernel_w;
    const vector<float> w = Floats(Size(c.groups * c.out * c.in * size));
    vector<float> want;
    for (int64_t r = 0; r < c.stride_h; ++r) {
      for (int64_t s = 0; s < c.stride_w; ++s) {
        for (int64_t i = 0; i < c.groups * c.in * c.out; ++i) {
          const int64_t group = i / (c.in * c.out), channel = i / c.out % c.in, o = i % c.out;
          const int64_t from = ((group * c.out + o) * c.in + channel) * size;
          for (int64_t y = c.kernel_h - 1; y >= 0; --y) {
            for (int64_t x = c.kernel_w - 1; x >= 0; --x) {
              if (y % c.stride_h == r && x % c.stride_w == s)
                want.push_back(w[Size(from + y * c.kernel_w + x)]);
            }
          }
        }
      }
    }
    vector<float> y(w.size());
    Run(k.gradients->conv2d_turn,
        Conv2dTurnArgs{w.data(), y.data(), c.groups, c.in, c.out, c.kernel_h, c.kernel_w,
                       c.stride_h, c.stride_w},
        true);
    Check(SameBits(y, want), "value");
  }
}

// Places that lie apart have the numbers that they have side by side, and nothing between them is written.
void TestConv2dGrid(const CpuKernels& k) {
  for (const Case& c : kCases) {
    where = std::string(k.isa) + " conv2d in a grid" + NameOf(c);
    const Window w = WindowOf(c);
    const int64_t planes = c.images * c.groups * c.out;
    const vector<float> x = Floats(Size(c.images * c.groups * c.in * c.height * c.width)),
                        weights = Floats(Size(c.groups * c.out * c.in * c.kernel_h * c.kernel_w));
    const Grid grid{w.out_height * 2 + 1, w.out_width * 3 + 2, 1, 2, 2, 3};
    vector<float> y(Size(planes * w.out_height * w.out_width)),
        want(Size(planes * grid.height * grid.width), 7), apart = want;
    Conv2dArgs a{};
    a.x = x.data(), a.w = weights.data(), a.y = y.data(), a.images = c.images;
    a.groups = c.groups, a.in = c.in, a.out = c.out, a.window = w;
    a.grid = {w.out_height, w.out_width, 0, 0, 1, 1};
    Run(k.conv2d, a);
    a.y = apart.data(), a.grid = grid;
    Run(k.conv2d, a, true);
    for (int64_t i = 0; i < planes * w.out_height * w.out_width; ++i) {
      const int64_t column = i % w.out_width, row = i / w.out_width % w.out_height,
                    plane = i / (w.out_width * w.out_height);
      want[Size((plane * grid.height + 1 + 2 * row) * grid.width + 2 + 3 * column)] = y[Size(i)];
    }
    Check(SameBits(apart, want), "value");
  }
}

void TestPool2dGrad(const CpuKernels& k) {
  for (const Case& c : kCases) {
    const Window w = WindowOf(c);
    const int64_t planes = c.images * c.in, places = w.out_height * w.out_width;
    vector<float> x = Floats(Size(planes * c.height * c.width)), dy = Floats(Size(planes * places)),
                  y(dy.size());
    for (float& v : x) v = std::round(v * 3);
    if (x.size() > 5) x[5] = NAN;
    Run(k.pool2d, Pool2dArgs{x.data(), y.data(), planes, w, PoolOp::kMax});
    vector<double> greatest(x.size()), mean(x.size());
    for (int64_t i = 0; i < planes * places; ++i) {
      bool given = false;
      for (int64_t d = 0; d < c.kernel_h * c.kernel_w; ++d) {
        const int64_t iy = i / w.out_width % w.out_height * c.stride_h - c.pad_h + d / c.kernel_w,
                      ix = i % w.out_width * c.stride_w - c.pad_w + d % c.kernel_w;
        if (iy < 0 || iy >= c.height || ix < 0 || ix >= c.width) continue;
        const size_t at = Size((i / places * c.height + iy) * c.width + ix);
        mean[at] += dy[Size(i)] / static_cast<double>(c.kernel_h * c.kernel_w);
        const bool same = x[at] == y[Size(i)] || (std::isnan(x[at]) && std::isnan(y[Size(i)]));
        if (same && !given) greatest[at] += dy[Size(i)], given = true;
      }
    }
    for (const PoolOp op : {PoolOp::kMax, PoolOp::kMean}) {
      where =
          std::string(k.isa) + " pool2d_grad " + std::to_string(static_cast<int>(op)) + NameOf(c);
      const Pool2dGradArgs args{dy.data(), x.data(), y.data(), nullptr, planes, w, op};
      CheckClose(RunTwice(k.gradients->pool2d_grad, args, &Pool2dGradArgs::dx, x.size()),
                 op == PoolOp::kMax ? greatest : mean, 1e-5, 1e-5, "value");
    }
  }
}

void TestGroupNormGrad(const CpuKernels& k) {
  for (int64_t pixels : {1, 15, 16, 100, 2500}) {
    for (int64_t channels : {2, 3}) {
      const int64_t images = 2, groups = 4, size = channels * pixels;
      where = std::string(k.isa) + " group_norm_grad " + std::to_string(channels) + "," +
              std::to_string(pixels);
      vector<float> x = Floats(Size(images * groups * size));
      for (float& v : x) v += 3;
      const vector<float> weight = Floats(Size(groups * channels)), dy = Floats(x.size());
      vector<double> want(x.size()), want_weight(Size(images * groups * channels)),
          want_bias(want_weight.size());
      double steepest = 1;
      for (int64_t g = 0; g < images * groups; ++g) {
        const auto at = [&](int64_t i) { return Size(g * size + i); };
        double mean = 0, square = 0, mean_dy = 0, mean_normed = 0;
        for (int64_t i = 0; i < size; ++i) mean += x[at(i)] / static_cast<double>(size);
        for (int64_t i = 0; i < size; ++i)
          square += std::pow(x[at(i)] - mean, 2) / static_cast<double>(size);
        const double scale = 1 / std::sqrt(square + 1e-5f);
        steepest = std::max(steepest, scale);
        for (int64_t i = 0; i < size; ++i) {
          const size_t plane = Size(g * channels + i / pixels);
          const double w = weight[Size(g % groups * channels + i / pixels)];
          const double d = dy[at(i)], normed = (x[at(i)] - mean) * scale;
          want_weight[plane] += d * normed;
          want_bias[plane] += d;
          mean_dy += w * d / static_cast<double>(size);
          mean_normed += w * d * normed / static_cast<double>(size);
        }
        for (int64_t i = 0; i < size; ++i) {
          const double w = weight[Size(g % groups * channels + i / pixels)];
          const double normed = (x[at(i)] - mean) * scale;
          want[at(i)] = scale * (w * dy[at(i)] - mean_dy - normed * mean_normed);
        }
      }
      vector<float> dweight(want_weight.size()), dbias(want_bias.size());
      const GroupNormGradArgs args{x.data(),       weight.data(), dy.data(), nullptr,
                                   dweight.data(), dbias.data(),  images,    groups,
                                   channels,       pixels,        1e-5f};
      const vector<float> dx =
          RunTwice(k.gradients->group_norm_grad, args, &GroupNormGradArgs::dx, x.size());
      // x − mean is off by an ulp or so of the mean (3), which the norm magnifies.
      CheckClose(dx, want, 4e-6 * steepest, 2e-6 * steepest * steepest, "dx");
      CheckClose(dweight, want_weight, 4e-6 * steepest,
                 1e-6 * steepest * static_cast<double>(pixels), "dweight");
      CheckClose(dbias, want_bias, 2e-6, 1e-7 * static_cast<double>(pixels) + 1e-6, "dbias");
    }
  }
}

}  // namespace

void TestGradients(const CpuKernels& k) {
  TestUnaryGrad(k);
  TestReduceGrad(k);
  TestPad(k);
  TestConv2dTurn(k);
  TestConv2dGrid(k);
  TestConv2dGradW(k);
  TestPool2dGrad(k);
  TestGroupNormGrad(k);
}

}  // namespace triga::test
