// What sampler.cc draws tokens with: selection of the best without a full sort, an exp whose bits do not depend on the machine,
// and the warpers. For sampler.cc alone.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "native/sampler.h"

namespace triga {
namespace {

constexpr double kNone = -std::numeric_limits<double>::infinity();

// ---- exp, bit for bit that of lib/ops/sampling/exact_exp.ts, whose argument is no lower than −700.
constexpr double kLowest = -700;

// −700 <= inside <= 0. Without branches, so that loops of it become vector code.
inline double ExactExp(double inside) {
  constexpr double kToInteger = 6755399441055744.0;  // 1.5 · 2⁵²
  const double shifted = inside * 1.4426950408889634 + kToInteger;
  const double n = shifted - kToInteger;
  const double r = inside - n * 0.6931471803691238 - n * 1.9082149292705877e-10;
  double sum = 1.6059043836821613e-10;
  sum = sum * r + 2.08767569878681e-9;
  sum = sum * r + 2.505210838544172e-8;
  sum = sum * r + 2.755731922398589e-7;
  sum = sum * r + 2.7557319223985893e-6;
  sum = sum * r + 2.48015873015873e-5;
  sum = sum * r + 1.984126984126984e-4;
  sum = sum * r + 1.388888888888889e-3;
  sum = sum * r + 8.333333333333333e-3;
  sum = sum * r + 4.1666666666666664e-2;
  sum = sum * r + 1.6666666666666666e-1;
  sum = sum * r + 0.5;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;
  uint64_t bits;  // the low bits of `shifted` are n
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 1023) << 52;
  double power;
  std::memcpy(&power, &bits, sizeof power);
  return sum * power;
}

// ---- Selection

// Greater keys first; of equals the smaller id. Objects, not functions: the sorts then compare in line.
constexpr auto kSmallerIdFirst = [](const Scored& a, const Scored& b) {
  return a.key > b.key || (a.key == b.key && a.id < b.id);
};
// Of equals the greater id, as an ascending stable sort read from its end.
constexpr auto kGreaterIdFirst = [](const Scored& a, const Scored& b) {
  return a.key > b.key || (a.key == b.key && a.id > b.id);
};

// The k greatest of x above −∞ (NaN counts as −∞), unsorted, of equals the smaller ids, in `out`, which holds n; returns how
// many. One pass: a buffer of a few k is cut back to k whenever it is full, which raises the bar for all that follows.
template <class T>
int64_t SelectTop(const T* x, int64_t n, int64_t k, Scored* out) {
  k = std::min(k, n);
  if (k == 0) return 0;
  const int64_t room = std::min(n, std::max<int64_t>(4 * k, 256));
  T bar = -std::numeric_limits<T>::infinity();
  int64_t size = 0;
  const auto cut = [&] {
    std::nth_element(out, out + (k - 1), out + size, kSmallerIdFirst);
    size = k;
    bar = static_cast<T>(out[k - 1].key);
  };
  for (int64_t i = 0; i < n; ++i) {
    if (!(x[i] > bar)) continue;
    if (size == room) {
      cut();
      if (!(x[i] > bar)) continue;
    }
    out[size++] = {static_cast<double>(x[i]), static_cast<int32_t>(i)};
  }
  if (size > k) cut();
  return size;
}

// ---- Candidates: what may be drawn, ascending ids. Warpers as lib/ops/sampling/warpers.ts.

struct Candidates {
  SampleScratch& scratch;
  int64_t size = 0;

  // All of x above −∞, or with k > 0 those not less than the k-th, divided by the temperature. It keeps the order of distinct
  // f32 logits; processed scores are divided before.
  template <class T>
  void Take(const T* x, int64_t n, int64_t k, double temperature) {
    double limit = kNone;
    if (k > 0 && k < n && SelectTop(x, n, k, scratch.sorted) == k) {
      limit = std::min_element(scratch.sorted, scratch.sorted + k,
                               [](const Scored& a, const Scored& b) { return a.key < b.key; })
                  ->key;
    }
    for (int64_t i = 0; i < n; ++i) {
      if (!(x[i] >= limit) || x[i] == kNone) continue;
      scratch.ids[size] = static_cast<int32_t>(i);
      scratch.values[size++] = temperature == 1 ? x[i] : x[i] / temperature;
    }
  }

  double Max() const {
    double max = kNone;
    for (int64_t i = 0; i < size; ++i) max = std::max(max, scratch.values[i]);
    return max;
  }

  double Sum() const {
    double sum = 0;
    for (int64_t i = 0; i < size; ++i) sum += scratch.weights[i];
    return sum;
  }

  void Weigh() {
    const double max = Max();
    const double* values = scratch.values;
    double* weights = scratch.weights;
    double min = max;
    for (int64_t i = 0; i < size; ++i) min = std::min(min, values[i]);
    if (max - min < -kLowest) {
      for (int64_t i = 0; i < size; ++i) weights[i] = ExactExp(values[i] - max);
      return;
    }
    for (int64_t i = 0; i < size; ++i) {
      weights[i] = values[i] == max ? 1.0 : ExactExp(std::max(values[i] - max, kLowest));
    }
  }

  template <class Keep>
  void Filter(Keep keep) {
    int64_t to = 0;
    for (int64_t i = 0; i < size; ++i) {
      if (!keep(i)) continue;
      scratch.ids[to] = scratch.ids[i];
      scratch.values[to] = scratch.values[i];
      scratch.weights[to++] = scratch.weights[i];
    }
    size = to;
  }

  int64_t IndexOf(int32_t id) const {
    return std::lower_bound(scratch.ids, scratch.ids + size, id) - scratch.ids;
  }

  // Calls visit(Scored) on the first `n` of scratch.sorted in order until it returns false; sorts no more than a little beyond.
  template <class Visit>
  void InOrder(int64_t n, Visit visit) {
    Scored* all = scratch.sorted;
    for (int64_t from = 0, chunk = 128; from < n; from += chunk, chunk *= 8) {
      const int64_t to = std::min(n, from + chunk);
      if (to < n) std::nth_element(all + from, all + to, all + n, kGreaterIdFirst);
      std::sort(all + from, all + to, kGreaterIdFirst);
      for (int64_t i = from; i < to; ++i) {
        if (!visit(all[i])) return;
      }
    }
  }

  void KeepTopP(double p) {
    const double sum = Sum();
    const double mass = p * sum;
    // All below this weight together hold less than half of what is cut off, so none of them is kept.
    const double floor = 0.5 * (sum - mass) / static_cast<double>(size);
    int64_t n = 0;
    for (int64_t i = 0; i < size; ++i) {
      if (scratch.weights[i] >= floor) scratch.sorted[n++] = {scratch.values[i], scratch.ids[i]};
    }
    double before = 0;
    bool first = true;
    Scored last{kNone, 0};
    InOrder(n, [&](const Scored& s) {
      if (!first && before >= mass) return false;
      first = false;
      last = s;
      before += scratch.weights[IndexOf(s.id)];
      return true;
    });
    Filter([&](int64_t i) { return !kGreaterIdFirst(last, {scratch.values[i], scratch.ids[i]}); });
  }

  void KeepTypical(double p) {
    const double max = Max();
    const auto below = [&](int64_t i) {
      return scratch.values[i] == max ? 0.0 : scratch.values[i] - max;
    };
    double sum = 0, weighted = 0;
    for (int64_t i = 0; i < size; ++i) {
      sum += scratch.weights[i];
      if (scratch.weights[i] > 0) weighted += scratch.weights[i] * below(i);
    }
    const double mean = weighted / sum;
    const auto distance = [&](int64_t i) { return std::abs(mean - below(i)); };
    for (int64_t i = 0; i < size; ++i) scratch.sorted[i] = {-distance(i), scratch.ids[i]};
    double limit = 0, before = 0;
    InOrder(size, [&](const Scored& s) {
      limit = -s.key;
      before += scratch.weights[IndexOf(s.id)];
      return !(before >= p * sum);
    });
    Filter([&](int64_t i) { return distance(i) <= limit; });
  }

  int32_t Draw(double u) const {
    const double target = u * Sum();
    double sum = 0;
    int32_t last = -1;
    for (int64_t i = 0; i < size; ++i) {
      if (scratch.weights[i] == 0) continue;
      sum += scratch.weights[i];
      last = scratch.ids[i];
      if (sum > target) break;
    }
    return last;
  }
};

}  // namespace
}  // namespace triga
