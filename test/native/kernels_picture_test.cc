// Kernels over pictures: conv2d, pool2d, upsample2d, group_norm.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "test/native/kernels_harness.h"

namespace triga::test {

namespace {

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

// Around the edges of tiles (4 rows, 16 columns), of register tiles and chunks of channels, of blocks of channels.
const Case kCases[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0},     {2, 1, 3, 5, 4, 16, 3, 3, 1, 1, 1, 1},
    {1, 1, 3, 12, 5, 17, 3, 3, 1, 1, 1, 1},   {1, 1, 45, 13, 9, 33, 3, 3, 1, 1, 1, 1},
    {1, 1, 2, 121, 3, 15, 3, 3, 1, 1, 0, 0},  {1, 1, 70, 7, 6, 20, 1, 1, 1, 1, 0, 0},
    {1, 1, 5, 6, 13, 41, 3, 3, 2, 2, 1, 1},   {1, 1, 2, 3, 11, 50, 2, 5, 3, 2, 0, 4},
    {1, 1, 2, 3, 20, 19, 5, 1, 1, 3, 3, 0},   {1, 1, 1, 2, 2, 3, 5, 5, 1, 1, 2, 2},
    {1, 1, 2, 2, 4, 4, 1, 1, 1, 1, 20, 20},   {1, 1, 1, 2, 40, 40, 33, 35, 1, 1, 0, 0},
    {2, 3, 4, 5, 6, 18, 3, 3, 1, 1, 1, 1},    {1, 18, 1, 1, 5, 20, 3, 3, 1, 1, 1, 1},
    {1, 1, 3, 4, 9, 70, 3, 20, 1, 17, 1, 10}, {0, 1, 3, 4, 9, 9, 3, 3, 1, 1, 1, 1},
};

void TestConv2d(const CpuKernels& k) {
  for (const Case& c : kCases) {
    for (int variant = 0; variant < 4; ++variant) {
      where = std::string(k.isa) + " conv2d" + NameOf(c) + " variant " + std::to_string(variant);
      const Window w = WindowOf(c);
      const int64_t channels = c.groups * c.out, depth = c.in * c.kernel_h * c.kernel_w;
      const vector<float> x = Floats(
                              static_cast<size_t>(c.images * c.groups * c.in * c.height * c.width)),
                          weights = Floats(static_cast<size_t>(channels * depth)),
                          bias = Floats(static_cast<size_t>(channels)),
                          residual = Floats(static_cast<size_t>(c.images * channels * w.out_height *
                                                                w.out_width));
      vector<float> y(residual.size()), z(residual.size());
      vector<double> want(y.size());
      Conv2dArgs a{x.data(),
                   weights.data(),
                   variant & 1 ? bias.data() : nullptr,
                   variant & 2 ? residual.data() : nullptr,
                   y.data(),
                   c.images,
                   c.groups,
                   c.in,
                   c.out,
                   w,
                   {w.out_height, w.out_width, 0, 0, 1, 1},
                   variant == 3 ? Activation::kRelu : Activation::kNone};
      // The chain that kernel.h promises, and the sum in float64.
      vector<float> chain(y.size());
      for (size_t i = 0; i < y.size(); ++i) {
        const int64_t at = static_cast<int64_t>(i), ox = at % w.out_width,
                      oy = at / w.out_width % w.out_height,
                      o = at / (w.out_width * w.out_height) % channels,
                      image = at / (w.out_width * w.out_height * channels);
        float sum = 0;
        double exact = 0;
        for (int64_t d = 0; d < depth; ++d) {
          const int64_t iy = oy * c.stride_h - c.pad_h + d / c.kernel_w % c.kernel_h,
                        ix = ox * c.stride_w - c.pad_w + d % c.kernel_w,
                        channel =
                            (image * c.groups + o / c.out) * c.in + d / (c.kernel_h * c.kernel_w);
          const bool inside = iy >= 0 && iy < c.height && ix >= 0 && ix < c.width;
          const float v =
              inside ? x[static_cast<size_t>((channel * c.height + iy) * c.width + ix)] : 0.0f;
          const float f = weights[static_cast<size_t>(o * depth + d)];
          sum = std::fma(f, v, sum);
          exact += static_cast<double>(f) * v;
        }
        const auto finish = [&](auto v) {
          if (variant & 1) v += bias[static_cast<size_t>(o)];
          if (variant & 2) v += residual[i];
          return variant == 3 ? std::max(v, decltype(v){0}) : v;
        };
        chain[i] = finish(sum);
        want[i] = finish(exact);
      }
      Run(k.conv2d, a);
      a.y = z.data();
      Run(k.conv2d, a, true);
      Check(SameBits(y, z), "tiles in any order");
      CheckClose(y, want, 1e-6, 1e-7 * static_cast<double>(depth) + 1e-6, "value");
      if (std::strcmp(k.isa, "scalar") != 0) Check(y == chain, "one chain");
    }
  }
}

void TestPool2d(const CpuKernels& k) {
  for (const Case& c : kCases) {
    where = std::string(k.isa) + " pool2d" + NameOf(c);
    const Window w = WindowOf(c);
    const int64_t planes = c.images * c.in;
    vector<float> x = Floats(static_cast<size_t>(planes * c.height * c.width));
    if (x.size() > 5) x[5] = NAN;
    vector<float> y(static_cast<size_t>(planes * w.out_height * w.out_width)), z(y.size());
    vector<double> greatest(y.size(), -INFINITY), mean(y.size());
    for (size_t i = 0; i < y.size(); ++i) {
      const int64_t at = static_cast<int64_t>(i), plane = at / (w.out_width * w.out_height);
      for (int64_t d = 0; d < c.kernel_h * c.kernel_w; ++d) {
        const int64_t iy = at / w.out_width % w.out_height * c.stride_h - c.pad_h + d / c.kernel_w,
                      ix = at % w.out_width * c.stride_w - c.pad_w + d % c.kernel_w;
        if (iy < 0 || iy >= c.height || ix < 0 || ix >= c.width) continue;
        const double v = x[static_cast<size_t>((plane * c.height + iy) * c.width + ix)];
        greatest[i] = std::isnan(v) || std::isnan(greatest[i]) ? NAN : std::max(greatest[i], v);
        mean[i] += v / static_cast<double>(c.kernel_h * c.kernel_w);
      }
    }
    Run(k.pool2d, Pool2dArgs{x.data(), y.data(), planes, w, PoolOp::kMax});
    CheckClose(y, greatest, 0, 0, "max");
    Run(k.pool2d, Pool2dArgs{x.data(), y.data(), planes, w, PoolOp::kMean});
    Run(k.pool2d, Pool2dArgs{x.data(), z.data(), planes, w, PoolOp::kMean}, true);
    Check(std::any_of(y.begin(), y.end(), [](float v) { return std::isnan(v); }) || SameBits(y, z),
          "tiles in any order");
    CheckClose(y, mean, 1e-5, 1e-6, "mean");
  }
}

void TestUpsample2d(const CpuKernels& k) {
  for (int64_t width : {1, 3, 16, 40}) {
    for (int64_t scale : {1, 2, 3}) {
      where = std::string(k.isa) + " upsample2d " + std::to_string(width) + " × " +
              std::to_string(scale);
      const int64_t planes = 3, height = 5;
      const vector<float> x = Floats(static_cast<size_t>(planes * height * width));
      vector<float> y(x.size() * static_cast<size_t>(scale * scale)), want(y.size());
      for (size_t i = 0; i < y.size(); ++i) {
        const int64_t at = static_cast<int64_t>(i), row = at / (width * scale * scale);
        want[i] = x[static_cast<size_t>(row * width + at % (width * scale) / scale)];
      }
      Run(k.upsample2d, Upsample2dArgs{x.data(), y.data(), planes, height, width, scale}, true);
      Check(SameBits(y, want), "value");
    }
  }
}

void TestGroupNorm(const CpuKernels& k) {
  for (int64_t pixels : {1, 15, 16, 100, 2500}) {
    for (int64_t channels : {1, 3}) {
      const int64_t images = 2, groups = 4, size = channels * pixels;
      where = std::string(k.isa) + " group_norm " + std::to_string(channels) + "," +
              std::to_string(pixels);
      vector<float> x = Floats(static_cast<size_t>(images * groups * size));
      for (float& v : x) v += 3;
      const vector<float> w = Floats(static_cast<size_t>(groups * channels)), b = Floats(w.size());
      vector<float> y(x.size()), z(x.size());
      vector<double> want(x.size());
      double deviation = 1;  // the least of any group
      for (int64_t g = 0; g < images * groups; ++g) {
        const auto at = [&](int64_t i) { return static_cast<size_t>(g * size + i); };
        double mean = 0, square = 0;
        for (int64_t i = 0; i < size; ++i) mean += x[at(i)] / static_cast<double>(size);
        for (int64_t i = 0; i < size; ++i)
          square += std::pow(x[at(i)] - mean, 2) / static_cast<double>(size);
        deviation = std::min(deviation, std::sqrt(square + 1e-5f));
        for (int64_t i = 0; i < size; ++i) {
          const size_t channel = static_cast<size_t>(g % groups * channels + i / pixels);
          want[at(i)] = (x[at(i)] - mean) / std::sqrt(square + 1e-5f) * w[channel] + b[channel];
        }
      }
      const GroupNormArgs args{x.data(), w.data(), b.data(), y.data(), images,
                               groups,   channels, pixels,   1e-5f};
      GroupNormArgs other = args;
      other.y = z.data();
      Run(k.group_norm, args);
      Run(k.group_norm, other, true);
      Check(SameBits(y, z), "tiles in any order");
      // x − mean is off by an ulp or so of the mean (3), which the norm magnifies.
      CheckClose(y, want, 2e-6, 5e-7 / deviation, "value");
    }
  }
}

}  // namespace

void TestPictures(const CpuKernels& k) {
  TestConv2d(k);
  TestPool2d(k);
  TestUpsample2d(k);
  TestGroupNorm(k);
}

}  // namespace triga::test
