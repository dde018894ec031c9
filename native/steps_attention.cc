// Steps of rotary positions, the KV cache and attention.
#include <cstring>
#include <string>

#include "native/attention_shape.h"
#include "native/error.h"
#include "native/plan.h"

namespace triga {
namespace {

[[noreturn]] void Fail(const char* message) { throw EngineError(ErrorCode::kInternal, message); }

// A pair of caches [blocks, 16, kv_heads, head_dim], whatever their layout in memory.
struct Caches {
  int32_t k, v;
  int64_t blocks, kv_heads, head_dim;
};

Caches LoadCaches(const StepLoader& l, int32_t k, int32_t v) {
  l.ExpectSameShape(k, v);
  l.Expect(l.Rank(k) == 4 && l.Fixed(k, 1) == kBlock, "caches of blocks of 16");
  return {k, v, l.Fixed(k, 0), l.Fixed(k, 2), l.Fixed(k, 3)};
}

void CheckSlots(const StepLoader& l, int32_t slots, int64_t blocks) {
  l.CheckNumbers(l.Key("slots", {slots, static_cast<int32_t>(blocks)}), {slots},
                 [=](const RunContext& c) {
                   for (int64_t i = 0; i < c.Count(slots); ++i) {
                     if (c.I32(slots)[i] >= blocks * kBlock)
                       Fail("kv_write: a slot outside the cache");
                   }
                 });
}

// Where position p of a cache keeps number d of kv head h: keys, then values.
int64_t KeyAt(const Caches& s, int64_t slot, int64_t h, int64_t d) {
  return ((slot / kBlock * s.kv_heads + h) * s.head_dim + d) * kBlock + slot % kBlock;
}
int64_t ValueAt(const Caches& s, int64_t slot, int64_t h, int64_t d) {
  return ((slot / kBlock * s.kv_heads + h) * kBlock + slot % kBlock) * s.head_dim + d;
}

void WriteRow(const Caches& s, const float* k, const float* v, int64_t slot, float* k_cache,
              float* v_cache) {
  for (int64_t h = 0; h < s.kv_heads; ++h) {
    for (int64_t d = 0; d < s.head_dim; ++d) {
      k_cache[KeyAt(s, slot, h, d)] = k[h * s.head_dim + d];
      v_cache[ValueAt(s, slot, h, d)] = v[h * s.head_dim + d];
    }
  }
}

}  // namespace

void CheckStarts(const RunContext& c, int32_t starts, int64_t rows) {
  const int64_t n = c.Count(starts);
  if (n < 1 || c.I32(starts)[0] != 0 || c.I32(starts)[n - 1] != rows)
    Fail("attention: starts that do not span the rows");
  for (int64_t i = 1; i < n; ++i) {
    if (c.I32(starts)[i] < c.I32(starts)[i - 1]) Fail("attention: starts that descend");
  }
}

AttentionShape LoadAttentionShape(const StepLoader& l, int32_t slopes, int64_t kv_heads,
                                  int64_t head_dim) {
  AttentionShape s{l.In(0, DType::kF32),
                   slopes,
                   0,
                   kv_heads,
                   head_dim,
                   l.Int(2, 0, int64_t{1} << 40),
                   static_cast<int32_t>(l.Int(1, 0, 1)),
                   static_cast<float>(l.Attr(0)),
                   static_cast<float>(l.Attr(3))};
  l.Expect(l.Rank(s.q) == 3 && l.Fixed(s.q, 2) == head_dim, "q of [T, H, D]");
  s.heads = l.Fixed(s.q, 1);
  l.Expect(kv_heads > 0 && s.heads % kv_heads == 0 && head_dim > 0,
           "heads that are a multiple of the key heads");
  if (slopes >= 0)
    l.Expect(l.Rank(slopes) == 1 && l.Fixed(slopes, 0) == s.heads, "a slope for each head");
  return s;
}

// Inputs positions, inv_freq, set?; attribute scale.
Step LoadRopeTable(const StepLoader& l) {
  const int32_t positions = l.In(0, DType::kI32), freq = l.In(1, DType::kF32),
                set = l.Optional(2, DType::kI32);
  const int32_t cos = l.Out(0, DType::kF32), sin = l.Out(1, DType::kF32);
  l.ExpectSameShape(cos, sin);
  l.Expect(l.Rank(cos) == 2 && l.Rank(freq) == 2 && l.DimOf(cos, 0) == l.DimOf(positions, 0),
           "a row for each position");
  const int64_t half = l.Fixed(cos, 1);
  l.Expect(l.Fixed(freq, 1) == half, "a frequency for each column");
  if (set >= 0) {
    l.ExpectSameShape(set, positions);
    l.CheckNumbers(l.Key("sets", {set, freq}), {set}, [=](const RunContext& c) {
      for (int64_t i = 0; i < c.Count(set); ++i) {
        if (c.I32(set)[i] < 0 || c.I32(set)[i] >= c.Size(freq, 0))
          Fail("rope_table: a set out of range");
      }
    });
  }
  const float scale = static_cast<float>(l.Attr(0));
  const Kernel<RopeTableArgs> kernel = l.kernels.rope_table;
  return {"",
          [=](const RunContext& c) {
            const int32_t* sets = set < 0 ? nullptr : c.I32(set);
            c.Run(kernel, RopeTableArgs{c.I32(positions), sets, c.F32(freq), c.F32(cos), c.F32(sin),
                                        c.Count(positions), half, scale});
          },
          nullptr};
}

// Inputs qkv, k_cache, v_cache, slots, cos?, sin?, q_norm?, k_norm?; attributes heads, interleaved, eps.
Step LoadRopeKvWrite(const StepLoader& l) {
  const int32_t qkv = l.In(0, DType::kF32), slots = l.In(3, DType::kI32),
                cos = l.Optional(4, DType::kF32), sin = l.Optional(5, DType::kF32),
                q_norm = l.Optional(6, DType::kF32), k_norm = l.Optional(7, DType::kF32);
  const Caches s = LoadCaches(l, l.In(1, DType::kF32), l.In(2, DType::kF32));
  const int32_t q = l.Out(0, DType::kF32);
  const int64_t heads = l.Int(0, 0, 1 << 20), width = (heads + 2 * s.kv_heads) * s.head_dim;
  const int32_t interleaved = static_cast<int32_t>(l.Int(1, 0, 1));
  const float eps = static_cast<float>(l.Attr(2));
  l.Expect(l.Rank(qkv) == 2 && l.Fixed(qkv, 1) == width, "rows of q, k and v");
  l.Expect(l.Rank(q) == 3 && l.DimOf(q, 0) == l.DimOf(qkv, 0) && l.Fixed(q, 1) == heads &&
               l.Fixed(q, 2) == s.head_dim,
           "q of [T, H, D]");
  l.Expect(l.Rank(slots) == 1 && l.DimOf(slots, 0) == l.DimOf(qkv, 0), "a slot for each row");
  l.Expect((cos >= 0) == (sin >= 0), "cos and sin together");
  int64_t half = 0;
  if (cos >= 0) {
    l.ExpectSameShape(cos, sin);
    l.Expect(l.Rank(cos) == 2 && l.DimOf(cos, 0) == l.DimOf(qkv, 0), "angles for each row");
    half = l.Fixed(cos, 1);
    l.Expect(2 * half <= s.head_dim, "angles no wider than a head");
  }
  for (const int32_t norm : {q_norm, k_norm}) {
    if (norm >= 0)
      l.Expect(l.ParamOf(norm, ParamLayout::kVector).n == s.head_dim,
               "a weight for each number of a head");
  }
  CheckSlots(l, slots, s.blocks);
  const Kernel<RopeKvWriteArgs> kernel = l.kernels.rope_kv_write;
  const auto args = [=](const RunContext& c) {
    return RopeKvWriteArgs{c.F32(qkv),  c.F32(cos), c.F32(sin), c.F32(q_norm), c.F32(k_norm),
                           c.F32(q),    c.F32(s.k), c.F32(s.v), c.I32(slots),  c.Size(qkv, 0),
                           width,       heads,      s.kv_heads, s.head_dim,    half,
                           interleaved, eps};
  };
  return {"", [=](const RunContext& c) { c.Run(kernel, args(c)); },
          [=](const RunContext& c) { return ScratchOf(kernel, args(c)); }};
}

// Inputs k, v, k_cache, v_cache, slots. What fusion left over: not on the way of any model family.
Step LoadKvWrite(const StepLoader& l) {
  const int32_t k = l.In(0, DType::kF32), v = l.In(1, DType::kF32), slots = l.In(4, DType::kI32);
  const Caches s = LoadCaches(l, l.In(2, DType::kF32), l.In(3, DType::kF32));
  l.ExpectSameShape(k, v);
  l.Expect(l.Rank(k) == 3 && l.Fixed(k, 1) == s.kv_heads && l.Fixed(k, 2) == s.head_dim,
           "k of [T, Hkv, D]");
  l.Expect(l.Rank(slots) == 1 && l.DimOf(slots, 0) == l.DimOf(k, 0), "a slot for each row");
  CheckSlots(l, slots, s.blocks);
  return {"",
          [=](const RunContext& c) {
            const int64_t width = s.kv_heads * s.head_dim;
            for (int64_t t = 0; t < c.Size(k, 0); ++t) {
              const int32_t slot = c.I32(slots)[t];
              if (slot >= 0)
                WriteRow(s, c.F32(k) + t * width, c.F32(v) + t * width, slot, c.F32(s.k),
                         c.F32(s.v));
            }
          },
          nullptr};
}

// Inputs k_cache, v_cache, from, to: whole blocks, so the layout within one does not matter.
Step LoadKvCopy(const StepLoader& l) {
  const Caches s = LoadCaches(l, l.In(0, DType::kF32), l.In(1, DType::kF32));
  const int32_t from = l.In(2, DType::kI32), to = l.In(3, DType::kI32);
  l.ExpectSameShape(from, to);
  l.CheckNumbers(l.Key("blocks", {from, to, static_cast<int32_t>(s.blocks)}), {from, to},
                 [=](const RunContext& c) {
                   for (int64_t i = 0; i < c.Count(from); ++i) {
                     for (const int32_t block : {c.I32(from)[i], c.I32(to)[i]}) {
                       if (block < 0 || block >= s.blocks)
                         Fail("kv_copy: a block outside the cache");
                     }
                   }
                 });
  return {"",
          [=](const RunContext& c) {
            const size_t block = static_cast<size_t>(kBlock * s.kv_heads * s.head_dim);
            for (int64_t i = 0; i < c.Count(from); ++i) {
              for (float* cache : {c.F32(s.k), c.F32(s.v)}) {
                std::memmove(cache + static_cast<size_t>(c.I32(to)[i]) * block,
                             cache + static_cast<size_t>(c.I32(from)[i]) * block,
                             block * sizeof(float));
              }
            }
          },
          nullptr};
}

// Inputs q, k_cache, v_cache, q_starts, context_lens, block_tables, slopes?; attributes scale, causal, window, softcap.
Step LoadPagedAttention(const StepLoader& l) {
  const Caches s = LoadCaches(l, l.In(1, DType::kF32), l.In(2, DType::kF32));
  const int32_t starts = l.In(3, DType::kI32), lens = l.In(4, DType::kI32),
                tables = l.In(5, DType::kI32);
  const AttentionShape shape =
      LoadAttentionShape(l, l.Optional(6, DType::kF32), s.kv_heads, s.head_dim);
  const int32_t y = l.Out(0, DType::kF32);
  l.ExpectSameShape(shape.q, y);
  l.Expect(l.Rank(tables) == 2 && l.Rank(lens) == 1 && l.DimOf(tables, 0) == l.DimOf(lens, 0),
           "a block table for each sequence");
  const int32_t q = shape.q, causal = shape.causal;
  l.CheckNumbers(l.Key("paged", {q, starts, lens, tables, static_cast<int32_t>(s.blocks), causal}),
                 {starts, lens, tables}, [=](const RunContext& c) {
                   CheckStarts(c, starts, c.Size(q, 0));
                   const int64_t batch = c.Count(lens), width = c.Size(tables, 1);
                   if (c.Count(starts) != batch + 1)
                     Fail("paged_attention: starts that do not fit the sequences");
                   for (int64_t b = 0; b < batch; ++b) {
                     const int64_t keys = c.I32(lens)[b],
                                   rows = c.I32(starts)[b + 1] - c.I32(starts)[b],
                                   blocks = (keys + kBlock - 1) / kBlock;
                     // Rows that do not stand among the keys may be more than these.
                     if (keys < (causal ? rows : 0) || blocks > width)
                       Fail("paged_attention: a context length that does not fit");
                     for (int64_t i = 0; i < blocks; ++i) {
                       const int32_t block = c.I32(tables)[b * width + i];
                       if (block < 0 || block >= s.blocks)
                         Fail("paged_attention: a block outside the cache");
                     }
                   }
                 });
  const Kernel<AttentionArgs> kernel = l.kernels.attention;
  const auto args = [=](const RunContext& c) {
    AttentionArgs a{};
    a.q = c.F32(shape.q);
    a.y = c.F32(y);
    a.slopes = c.F32(shape.slopes);
    a.heads = shape.heads;
    a.kv_heads = shape.kv_heads;
    a.head_dim = shape.head_dim;
    a.q_stride = a.y_stride = shape.heads * shape.head_dim;
    a.window = shape.window;
    a.causal = shape.causal;
    a.scale = shape.scale;
    a.softcap = shape.softcap;
    a.k_cache = c.F32(s.k);
    a.v_cache = c.F32(s.v);
    a.q_starts = c.I32(starts);
    a.context_lens = c.I32(lens);
    a.block_tables = c.I32(tables);
    a.batch = c.Count(lens);
    a.max_blocks = c.Size(tables, 1);
    return a;
  };
  return {"", [=](const RunContext& c) { c.Run(kernel, args(c)); },
          [=](const RunContext& c) { return ScratchOf(kernel, args(c)); }};
}

}  // namespace triga
