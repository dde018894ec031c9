#include "native/direct.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "native/memory.h"
#include "native/pool.h"

namespace triga {
namespace {

constexpr size_t kAlign = 64;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// One kernel as a job of one step.
template <class Args>
class KernelJob final : public Job {
 public:
  KernelJob(const Kernel<Args>& kernel, const Args& args, int threads)
      : kernel_(kernel),
        args_(args),
        threads_(threads),
        stride_((ScratchOf(kernel, args) + kAlign - 1) / kAlign * kAlign),
        scratch_(stride_ * static_cast<size_t>(threads)) {}

  bool Step() override {
    Pool::Get().ParallelFor(
        kernel_.tiles(args_), threads_,
        [](void* p, int64_t begin, int64_t end, int thread) {
          const KernelJob& job = *static_cast<KernelJob*>(p);
          job.kernel_.run(job.args_, begin, end,
                          job.scratch_.data() + static_cast<size_t>(thread) * job.stride_);
        },
        this);
    return true;
  }

  void Finish() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    done_ = true;
    ended_.notify_one();
  }

  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    ended_.wait(lock, [this] { return done_; });
  }

 private:
  const Kernel<Args> kernel_;
  const Args args_;
  const int threads_;
  const size_t stride_;
  Memory scratch_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool done_ = false;
};

template <class Args>
void RunAndWait(const Kernel<Args>& kernel, const Args& args, int threads) {
  const auto job = std::make_shared<KernelJob<Args>>(kernel, args, threads);
  Pool::Get().Submit(job, threads);
  job->Wait();
}

// The panels that linear_int8 takes; see LinearInt8Args.
Memory PackPanels(const DirectInt8Gemm& g) {
  const int64_t groups = CeilDiv(g.k, g.group), panels = CeilDiv(g.n, kPanel),
                padded = CeilDiv(g.group, kInt8Step) * kInt8Step,
                bytes = padded * kPanel + kPanel * static_cast<int64_t>(sizeof(float));
  Memory packed(static_cast<size_t>(panels * groups * bytes));
  for (int64_t i = 0; i < panels * groups; ++i)
    std::memset(packed.data() + i * bytes, 128, static_cast<size_t>(padded * kPanel));
  for (int64_t c = 0; c < g.n; ++c) {
    for (int64_t group = 0; group < groups; ++group) {
      char* to = packed.data() + (c / kPanel * groups + group) * bytes;
      const int64_t lane = c % kPanel, first = group * g.group,
                    length = std::min(g.group, g.k - first);
      std::memcpy(to + padded * kPanel + lane * 4, &g.b_scale[c * groups + group], sizeof(float));
      const int8_t* from = g.b + c * g.k + first;
      for (int64_t i = 0; i < length; ++i)
        to[i / 4 * 64 + lane * 4 + i % 4] = static_cast<char>(from[i] + 128);
    }
  }
  return packed;
}

}  // namespace

void RunDirect(const CpuKernels& kernels, int threads, const DirectInt8Gemm& whole) {
  DirectInt8Gemm g = whole;
  if (g.m == 0 || g.n == 0) return;
  if (g.k == 0) {
    std::fill_n(g.y, g.m * g.n, 0.0f);
    return;
  }
  g.group = std::min(g.group, g.k);
  const Memory panels = PackPanels(g);
  const int64_t groups = CeilDiv(g.k, g.group), padded = CeilDiv(g.group, kInt8Step) * kInt8Step;
  const Memory rows(static_cast<size_t>(g.m * groups * (2 * padded + 8)));
  RunAndWait(kernels.int8_rows, Int8RowsArgs{g.a, rows.data(), g.m, g.k, g.group, g.k}, threads);
  LinearInt8Args args{};
  args.linear.x = rows.data();
  args.linear.panels = panels.data();
  args.linear.y = g.y;
  args.linear.rows = g.m;
  args.linear.n = args.linear.y_stride = g.n;
  args.linear.k = g.k;
  args.x_scale = g.a_scale;
  args.group = g.group;
  RunAndWait(kernels.linear_int8, args, threads);
}

void RunDirect(const CpuKernels& kernels, int threads, const DirectAttention& a) {
  const int64_t width = a.kv_heads * a.head_dim, blocks = CeilDiv(a.keys, kBlock);
  if (a.rows == 0) return;
  if (a.keys == 0) {
    std::fill_n(a.y, a.rows * a.heads * a.head_dim, 0.0f);
    return;
  }
  const size_t bytes = static_cast<size_t>(blocks * kBlock * width) * sizeof(float);
  const Memory k_cache(bytes), v_cache(bytes);
  float* keys = reinterpret_cast<float*>(k_cache.data());
  float* values = reinterpret_cast<float*>(v_cache.data());
  for (int64_t s = 0; s < a.keys; ++s) {
    for (int64_t h = 0; h < a.kv_heads; ++h) {
      const int64_t head = s / kBlock * a.kv_heads + h, at = s % kBlock;
      for (int64_t d = 0; d < a.head_dim; ++d) {
        keys[(head * a.head_dim + d) * kBlock + at] = a.k[s * width + h * a.head_dim + d];
        values[(head * kBlock + at) * a.head_dim + d] = a.v[s * width + h * a.head_dim + d];
      }
    }
  }
  std::vector<int32_t> table(static_cast<size_t>(blocks));
  for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<int32_t>(i);
  const int32_t starts[2] = {0, static_cast<int32_t>(a.rows)};
  const int32_t length = static_cast<int32_t>(a.keys);
  AttentionArgs args{};
  args.q = a.q;
  args.k_cache = keys;
  args.v_cache = values;
  args.y = a.y;
  args.q_starts = starts;
  args.context_lens = &length;
  args.block_tables = table.data();
  args.batch = 1;
  args.heads = a.heads;
  args.kv_heads = a.kv_heads;
  args.head_dim = a.head_dim;
  args.max_blocks = blocks;
  args.q_stride = args.y_stride = a.heads * a.head_dim;
  args.window = a.window;
  args.causal = a.causal ? 1 : 0;
  args.scale = 1.0f / std::sqrt(static_cast<float>(a.head_dim));
  RunAndWait(kernels.attention, args, threads);
}

}  // namespace triga
