// rope_table, rope_kv_write and attention over the blocks of a cache.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "test/native/kernels_harness.h"

namespace triga::test {

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

namespace {

struct AttentionCase {
  int64_t heads, kv_heads, dim, window;
  int causal;
  float softcap;
  bool slopes;
  vector<int64_t> lengths;
};

}  // namespace

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

}  // namespace triga::test
