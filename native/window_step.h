// A window that walks over pictures, as the steps of convolutions and pools and their gradients check it.
#pragma once
#include <initializer_list>
#include <string>

#include "native/error.h"
#include "native/plan.h"

namespace triga {

constexpr int64_t kMaxWindow = int64_t{1} << 20;

inline int64_t PlacesOf(int64_t size, int64_t kernel, int64_t stride, int64_t pad) {
  const int64_t room = size + 2 * pad - kernel;
  return room < 0 ? 0 : room / stride + 1;
}

[[noreturn]] inline void FailSize(const char* kernel) {
  throw EngineError(ErrorCode::kInternal,
                    std::string(kernel) + ": the result's size is not that of its pictures");
}

// A window, and the pictures that it walks over and makes.
class WindowStep {
 public:
  // `first`: the attribute that strides and paddings, height before width, begin at.
  WindowStep(const StepLoader& l, int32_t x, int32_t y, int64_t kernel_h, int64_t kernel_w,
             size_t first)
      : x_(x), y_(y) {
    l.Expect(l.Rank(x) == 4 && l.Rank(y) == 4, "pictures of four axes");
    l.Expect(l.DimOf(x, 0) == l.DimOf(y, 0), "a result for each picture");
    window_.kernel_h = kernel_h;
    window_.kernel_w = kernel_w;
    window_.stride_h = l.Int(first, 1, kMaxWindow);
    window_.stride_w = l.Int(first + 1, 1, kMaxWindow);
    window_.pad_h = l.Int(first + 2, 0, kMaxWindow);
    window_.pad_w = l.Int(first + 3, 0, kMaxWindow);
    l.Expect(kernel_h >= 1 && kernel_w >= 1 && kernel_h <= kMaxWindow && kernel_w <= kMaxWindow,
             "a window of at least a pixel");
    // Sizes that the run brings are checked there.
    bool fixed = true;
    for (const int32_t v : {x, y})
      fixed = fixed && l.DimOf(v, 2).slot < 0 && l.DimOf(v, 3).slot < 0;
    if (fixed)
      l.Expect(Fits(l.Fixed(x, 2), l.Fixed(x, 3), l.Fixed(y, 2), l.Fixed(y, 3)),
               "a result of as many pixels as the window has places");
  }

  // Without the pictures' sizes.
  const Window& shape() const { return window_; }

  Window At(const RunContext& c, const char* kernel) const {
    Window w = window_;
    w.height = c.Size(x_, 2);
    w.width = c.Size(x_, 3);
    w.out_height = c.Size(y_, 2);
    w.out_width = c.Size(y_, 3);
    if (!Fits(w.height, w.width, w.out_height, w.out_width)) FailSize(kernel);
    return w;
  }

 private:
  bool Fits(int64_t height, int64_t width, int64_t out_height, int64_t out_width) const {
    const Window& w = window_;
    return out_height == PlacesOf(height, w.kernel_h, w.stride_h, w.pad_h) &&
           out_width == PlacesOf(width, w.kernel_w, w.stride_w, w.pad_w);
  }

  int32_t x_, y_;
  Window window_{};
};

// The places of a window one beside the other.
inline Grid GridOf(const Window& w) { return {w.out_height, w.out_width, 0, 0, 1, 1}; }

}  // namespace triga
