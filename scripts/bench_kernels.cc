// Prints what each kernel of a level reaches on this machine, in GFLOP/s or GB/s (of the bytes that
// must move), and as a share of the peak measured in the same run: FMA, bf16 dot product, int8
// products, plain read of memory. Best of the runs of about a second each: other work on the machine then disturbs
// least, and it disturbs the peaks alike.
// node scripts/build_native_tests.mjs --bench, or build/native-tests/bench_kernels [isa] [threads]
// [cpu]; with `cpu` the time is what the threads spent on their processors: for machines that
// others use too (imbalance does not show then).
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/kernel_gradients.h"
#include "kernels/cpu/kernel_training.h"

using namespace triga;
using std::vector;

namespace {

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double CpuNow() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

bool cpu_time = false;

// Threads that spin for the next step, as the runtime's do in a run.
class Team {
 public:
  explicit Team(int threads) : threads_(threads) {
    for (int i = 1; i < threads; ++i) others_.emplace_back([this, i] { Work(i); });
  }
  ~Team() {
    stop_ = true;
    ++step_;
    for (std::thread& t : others_) t.join();
  }
  int size() const { return threads_; }
  double cpu() const {
    double sum = 0;
    for (int i = 0; i < threads_; ++i) sum += cpu_[i];
    return sum / threads_;
  }
  void Run(const std::function<void(int)>& f) {
    f_ = &f;
    done_ = 0;
    ++step_;
    Timed(0);
    while (done_ < threads_ - 1) std::this_thread::yield();
  }

 private:
  void Work(int id) {
    for (int seen = 0;;) {
      for (int spins = 0; step_ == seen;) {
        if (++spins > 10000) std::this_thread::yield();
      }
      ++seen;
      if (stop_) return;
      Timed(id);
      ++done_;
    }
  }
  void Timed(int id) {
    const double t = CpuNow();
    (*f_)(id);
    cpu_[id] += CpuNow() - t;
  }
  int threads_;
  double cpu_[64] = {};
  vector<std::thread> others_;
  const std::function<void(int)>* f_ = nullptr;
  std::atomic<int> step_{0}, done_{0};
  std::atomic<bool> stop_{false};
};

Team* team;

// Memory in huge pages, as the runtime's weights are.
template <class T>
T* Memory(size_t n, T value = T{}) {
  const size_t huge = 2 << 20, bytes = (n * sizeof(T) + huge - 1) / huge * huge;
  void* p = std::aligned_alloc(huge, bytes);
  madvise(p, bytes, MADV_HUGEPAGE);
  std::fill_n(static_cast<T*>(p), n, value);
  return static_cast<T*>(p);
}

double Best(const std::function<void()>& f) {
  const auto clock = [] { return cpu_time ? team->cpu() : Now(); };
  f();
  double best = 1e30;
  const double start = Now();
  for (int runs = 0; runs < 5 || (Now() - start < 0.8 && runs < 1000); ++runs) {
    const double t = clock();
    f();
    best = std::min(best, clock() - t);
  }
  return best;
}

char* scratch[64];

template <class Args>
void RunAll(const Kernel<Args>& kernel, const Args& args) {
  const int64_t tiles = kernel.tiles(args);
  std::atomic<int64_t> next{0};
  team->Run([&](int id) {
    for (int64_t t; (t = next++) < tiles;) kernel.run(args, t, t + 1, scratch[id]);
  });
}

void Report(const std::string& what, double amount, double seconds, double peak, const char* unit) {
  const double rate = amount / seconds / 1e9;
  std::printf("  %-44s %9.1f %-8s %5.1f%%  %10.1f us\n", what.c_str(), rate, unit,
              100 * rate / peak, seconds * 1e6);
  std::fflush(stdout);
}

std::atomic<double> sink;

// Packed attention of sequences of one length and its gradients: what counts is what the causal mask leaves.
void BenchTrainingAttention(const TrainingKernels& k, int64_t batch, int32_t rows, int64_t heads,
                            int64_t dim, double peak) {
  const size_t n = static_cast<size_t>(batch * rows * heads * dim);
  float* x[8];
  for (float*& p : x) p = Memory<float>(n, 0.1f);
  vector<int32_t> starts;
  for (int32_t b = 0; b <= batch; ++b) starts.push_back(b * rows);
  const PackedAttentionArgs a{x[0],    x[1],  x[2],         x[3],  starts.data(), starts.data(),
                              nullptr, batch, batch * rows, heads, heads,         dim,
                              0,       1,     0.125f,       0};
  const AttentionGradArgs g{a, x[4], x[5], x[6], x[7]};
  const double pairs = 0.5 * rows * (rows + 1.0) * static_cast<double>(batch * heads * dim);
  const std::string name = std::to_string(batch) + " x " + std::to_string(rows) + " rows, " +
                           std::to_string(heads) + " heads of " + std::to_string(dim);
  Report("packed_attention " + name, 4 * pairs, Best([&] { RunAll(k.packed_attention, a); }), peak,
         "GFLOP/s");
  Report("attention_grad " + name, 10 * pairs, Best([&] { RunAll(k.attention_grad, g); }), peak,
         "GFLOP/s");
  for (float* p : x) std::free(p);
}

// Kernels of training that memory bounds: bytes in and out.
void BenchTraining(const TrainingKernels& k, const Kernel<ReduceArgs>& reduce, float* big,
                   double read) {
  const int64_t n = 16 << 20, rows = 4096, cols = 1024;
  float* at[5];
  for (int64_t i = 0; i < 5; ++i) at[i] = big + i * n;
  const auto bytes = [&](double passes) { return passes * 4 * static_cast<double>(n); };
  const AdamwHyper h{1e-3f, 0.9f, 0.999f, 1e-8f, 0.1f, 0.1f, 0.001f, 1};
  const AdamwArgs adamw{at[0], at[1], at[2], at[3], &h, n};
  Report("adamw of 16 Mi", bytes(7), Best([&] { RunAll(k.adamw, adamw); }), read, "GB/s");
  const SumSquaresArgs squares{at[0], at[4], n};
  Report("sum_squares of 16 Mi", bytes(1), Best([&] { RunAll(k.sum_squares, squares); }), read,
         "GB/s");
  const ActivationGradArgs act{at[0], at[1], at[2], at[3], at[4], n, Activation::kSilu};
  Report("activation_grad, gated silu, of 16 Mi", bytes(5),
         Best([&] { RunAll(k.activation_grad, act); }), read, "GB/s");
  const vector<int32_t> labels(static_cast<size_t>(rows), 7);
  const CrossEntropyArgs loss{at[0], labels.data(), at[4], n / 16384, 16384, 0};
  const CrossEntropyGradArgs grad{loss, at[1], at[2]};
  Report("cross_entropy of 16384", bytes(1), Best([&] { RunAll(k.cross_entropy, loss); }), read,
         "GB/s");
  Report("cross_entropy_grad of 16384", bytes(2), Best([&] { RunAll(k.cross_entropy_grad, grad); }),
         read, "GB/s");
  const NormGradArgs norm{at[0], at[1], at[2], at[3], at[4], at[4] + kParts * cols,
                          rows,  cols,  1e-5f};
  const double block = static_cast<double>(rows * cols) * 4;
  Report("layer_norm_grad 4096 x 1024", 3 * block, Best([&] { RunAll(k.layer_norm_grad, norm); }),
         read, "GB/s");
  Report("rms_norm_grad 4096 x 1024", 3 * block, Best([&] { RunAll(k.rms_norm_grad, norm); }), read,
         "GB/s");
  const ReduceArgs columns{at[0], at[1], 1, rows, cols, ReduceOp::kSum};
  Report("reduce sum of columns of 4096 x 1024", block, Best([&] { RunAll(reduce, columns); }),
         read, "GB/s");
}

}  // namespace

int main(int argc, char** argv) {
  const CpuKernels* kernels = SelectKernels(argc > 1 ? argv[1] : nullptr);
  if (!kernels) return std::printf("no such level here: %s\n", argv[1]), 1;
  const CpuKernels& k = *kernels;
  Team workers(argc > 2 ? std::atoi(argv[2])
                        : static_cast<int>(std::min(64u, std::thread::hardware_concurrency())));
  team = &workers;
  cpu_time = argc > 3 && std::strcmp(argv[3], "cpu") == 0;
  for (int i = 0; i < workers.size(); ++i) scratch[i] = Memory<char>(4 << 20);

  const size_t big_bytes = size_t{2} << 30;   // beyond the caches of a whole host
  char* big = Memory<char>(big_bytes, 0x3c);  // 0.0115 as f32 and bf16, 1.06 as f16
  const auto compute = [&](const Kernel<PeakComputeArgs>& kernel) {
    const PeakComputeArgs args{kPeakTileOps * 64};
    return static_cast<double>(args.ops) / 1e9 / Best([&] { RunAll(kernel, args); });
  };
  const double fma = compute(k.peak_fma), int8 = compute(k.peak_int8),
               dot = k.peak_dot.run ? compute(k.peak_dot) : 1e9;
  double read = 0;
  for (const ReadPattern pattern :
       {ReadPattern::kPlain, ReadPattern::kAhead1K, ReadPattern::kAhead4K, ReadPattern::kStreams4,
        ReadPattern::kStreams8}) {
    const PeakReadArgs args{reinterpret_cast<const float*>(big),
                            static_cast<int64_t>(big_bytes / 4), pattern};
    const double t = Best([&] { RunAll(k.peak_read, args); });
    read = std::max(read, static_cast<double>(big_bytes) / 1e9 / t);
  }
  std::printf(
      "%s, %d threads: f32 FMA %.0f GFLOP/s, bf16 dot product %.0f GFLOP/s, int8 %.0f GOP/s, read "
      "%.1f GB/s\n",
      k.isa, workers.size(), fma, k.linear_bf16_dot.run ? dot : 0.0, int8, read);
  std::fflush(stdout);

  struct Weights {
    const char* name;
    const Kernel<LinearArgs>& kernel;
    size_t bytes;
    bool half_x;
  };
  vector<Weights> types = {{"f32", k.linear_f32, 4, false},
                           {"f16", k.linear_f16, 2, false},
                           {"bf16", k.linear_bf16, 2, false}};
  if (k.linear_bf16_dot.run) types.push_back({"bf16 dot", k.linear_bf16_dot, 2, true});
  const int64_t N = 5632, K = 2048, M = 512;
  float* x = Memory<float>(static_cast<size_t>(M * K), 0.01f);
  float* y = Memory<float>(static_cast<size_t>(M * 32768));
  for (const Weights& w : types) {
    for (int64_t rows : {1, 2, 4, 6, 8, 12, 16, 24, 32, 64, 128, 512}) {
      LinearArgs a{};
      a.x = x, a.y = y, a.rows = rows, a.n = N, a.k = K, a.x_stride = K, a.y_stride = N;
      // Few rows: other weights at each call, as in a model larger than the caches.
      const size_t bytes = static_cast<size_t>(N * K) * w.bytes, copies = big_bytes / bytes;
      size_t at = 0;
      const double t = Best([&] {
        a.panels = big + at++ % copies * bytes;
        RunAll(w.kernel, a);
      });
      const std::string name = std::string("linear ") + w.name + " M=" + std::to_string(rows);
      if (rows <= 16) Report(name + " (weights)", static_cast<double>(bytes), t, read, "GB/s");
      if (rows >= 8)
        Report(name, 2.0 * static_cast<double>(rows * N * K), t, w.half_x ? dot : fma, "GFLOP/s");
    }
  }
  {
    int8_t* bytes = Memory<int8_t>(static_cast<size_t>(M * K), 3);
    char* expanded = Memory<char>(static_cast<size_t>(M * K / kGroup * (2 * kGroup + 8)));
    float* scales = Memory<float>(static_cast<size_t>(M), 0.01f);
    const size_t size = static_cast<size_t>(N / kPanel * (K / kGroup) * (kGroup + 2) * kPanel),
                 copies = big_bytes / size;
    for (int64_t rows : {1, 2, 4, 8, 16, 32, 64, 128, 512}) {
      const Int8RowsArgs r{bytes, expanded, rows, K, kGroup, K};
      LinearInt8Args a{};
      a.linear.x = expanded, a.linear.y = y, a.linear.rows = rows;
      a.linear.n = N, a.linear.k = K, a.linear.y_stride = N;
      a.x_scale = scales, a.group = kGroup;
      size_t at = 0;
      const double t = Best([&] {
        a.linear.panels = big + at++ % copies * size;
        RunAll(k.int8_rows, r);
        RunAll(k.linear_q8, a);
      });
      const std::string name = "linear q8 M=" + std::to_string(rows);
      if (rows <= 16) Report(name + " (weights)", static_cast<double>(size), t, read, "GB/s");
      if (rows >= 8) Report(name, 2.0 * static_cast<double>(rows * N * K), t, int8, "GOP/s");
    }
  }
  {
    LinearArgs a{};
    a.x = x, a.y = y, a.rows = M, a.n = N / 2, a.k = K, a.x_stride = K, a.y_stride = N / 2,
    a.gated = 1, a.panels = big;
    a.activation = Activation::kSilu;
    Report("linear f32 M=512 silu, gated", 2.0 * static_cast<double>(M * N * K),
           Best([&] { RunAll(k.linear_f32, a); }), fma, "GFLOP/s");
  }
  {
    float* pictures = reinterpret_cast<float*>(big);
    const auto conv = [&](const char* name, int64_t in, int64_t out, int64_t size, int64_t kernel,
                          int64_t stride, int64_t groups) {
      const int64_t places = (size - 1) / stride + 1, pad = kernel / 2;
      Conv2dArgs a{};
      a.x = pictures, a.w = x, a.y = pictures + (32 << 20), a.images = 1, a.groups = groups;
      a.in = in / groups, a.out = out / groups, a.activation = Activation::kRelu;
      a.window = {size, size, places, places, kernel, kernel, stride, stride, pad, pad};
      a.grid = {places, places, 0, 0, 1, 1};
      const double work = 2.0 * static_cast<double>(places * places * out * a.in * kernel * kernel);
      Report(std::string("conv2d ") + name, work, Best([&] { RunAll(k.conv2d, a); }), fma,
             "GFLOP/s");
      if (stride == 1) {
        const Conv2dTurnArgs turn{a.w, y, groups, a.in, a.out, kernel, kernel, 1, 1};
        Conv2dArgs back = a;
        back.x = a.y, back.y = pictures, back.w = y, back.in = a.out, back.out = a.in;
        back.activation = Activation::kNone;
        Report("conv2d_grad_x " + std::string(name), work, Best([&] {
                 RunAll(k.gradients->conv2d_turn, turn);
                 RunAll(k.conv2d, back);
               }),
               fma, "GFLOP/s");
      }
      const int64_t count =
          std::min<int64_t>(16, std::max<int64_t>(1, places * places / kConvPiece));
      const Conv2dGradWArgs w{pictures, a.y, y, 1, groups, a.in, a.out, a.window, count};
      const ReduceArgs parts{
          y, x, 1, count, groups * a.out * a.in * kernel * kernel, ReduceOp::kSum};
      Report("conv2d_grad_w " + std::string(name), work, Best([&] {
               RunAll(k.gradients->conv2d_grad_w, w);
               RunAll(k.reduce, parts);
             }),
             fma, "GFLOP/s");
    };
    conv("3x3 64 to 64, 128x128", 64, 64, 128, 3, 1, 1);
    conv("3x3 64 to 64, 16x16", 64, 64, 16, 3, 1, 1);
    conv("3x3 64 to 64, 512x512", 64, 64, 512, 3, 1, 1);
    conv("3x3 64 to 64, 128x128, stride 2", 64, 64, 128, 3, 2, 1);
    conv("3x3 3 to 64, 128x128", 3, 64, 128, 3, 1, 1);
    conv("3x3 64 to 3, 128x128", 64, 3, 128, 3, 1, 1);
    conv("1x1 64 to 256, 16x16", 64, 256, 16, 1, 1, 1);
    conv("3x3 64 to 64, 128x128, depthwise", 64, 64, 128, 3, 1, 64);
    const double plane = 128.0 * 128 * 64;
    const Pool2dArgs p{x, y, 64, {128, 128, 64, 64, 2, 2, 2, 2, 0, 0}, PoolOp::kMax};
    Report("pool2d max 2x2 of 64x128x128 (in + out)", 5 * plane, Best([&] { RunAll(k.pool2d, p); }),
           read, "GB/s");
    const Upsample2dArgs u{x, y, 64, 128, 128, 2};
    Report("upsample2d x2 of 64x128x128 (in + out)", 20 * plane,
           Best([&] { RunAll(k.upsample2d, u); }), read, "GB/s");
    const GroupNormArgs g{x, x, x, y, 1, 4, 64, 64 * 64, 1e-5f};
    Report("group_norm 4 groups of 256x64x64 (in + out)", 8 * plane,
           Best([&] { RunAll(k.group_norm, g); }), read, "GB/s");
    const GroupNormGradArgs gg{
        x, x,  x,       y,    reinterpret_cast<float*>(big), reinterpret_cast<float*>(big), 1,
        4, 64, 64 * 64, 1e-5f};
    Report("group_norm_grad 4 groups of 256x64x64 (in + out)", 12 * plane,
           Best([&] { RunAll(k.gradients->group_norm_grad, gg); }), read, "GB/s");
    const Pool2dGradArgs pg{y, x, y, reinterpret_cast<float*>(big), 64, p.window, PoolOp::kMax};
    Report("pool2d_grad max 2x2 of 64x128x128 (in + out)", 10 * plane,
           Best([&] { RunAll(k.gradients->pool2d_grad, pg); }), read, "GB/s");
  }
  for (const auto& [from, to, name] :
       {std::tuple{WeightType::kBF16, WeightType::kBF16, "pack bf16"},
        std::tuple{WeightType::kF16, WeightType::kF16, "pack f16"},
        std::tuple{WeightType::kF32, WeightType::kF32, "pack f32"},
        std::tuple{WeightType::kF32, WeightType::kBF16, "pack f32 to bf16"}}) {
    for (int transposed = 0; transposed < 2; ++transposed) {
      const int64_t n = 16384, kk = 4096;
      const size_t in = from == WeightType::kF32 ? 4 : 2, out = to == WeightType::kF32 ? 4 : 2;
      const PackArgs a{big, big + (size_t{384} << 20), n, kk, 0, from, to, transposed, 0};
      const double t = Best([&] { RunAll(k.pack, a); });
      Report(std::string(name) + (transposed ? " transposed" : "") + " (in + out)",
             static_cast<double>(n * kk) * static_cast<double>(in + out), t, read, "GB/s");
    }
  }
  {
    vector<int32_t> ids(512);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * 7919 % 32000);
    const EmbeddingArgs a{big, ids.data(), y, 512, 2048, WeightType::kBF16};
    Report("embedding bf16 512 x 2048 (out)", 512.0 * 2048 * 4,
           Best([&] { RunAll(k.embedding, a); }), read, "GB/s");
  }
  {
    const NormArgs a{x, x, x, y, M, K, K, K, 1e-5f};
    Report("rms_norm 512 x 2048 (in + out)", 8.0 * static_cast<double>(M * K),
           Best([&] { RunAll(k.rms_norm, a); }), read, "GB/s");
    Report("layer_norm 512 x 2048 (in + out)", 8.0 * static_cast<double>(M * K),
           Best([&] { RunAll(k.layer_norm, a); }), read, "GB/s");
    uint16_t* h = reinterpret_cast<uint16_t*>(y);
    const ToBF16Args b{x, h, M, K, K, K, 0};
    Report("to_bf16 512 x 2048 (in + out)", 6.0 * static_cast<double>(M * K),
           Best([&] { RunAll(k.to_bf16, b); }), read, "GB/s");
  }
  {
    const int64_t heads = 32, kv = 4, dim = 64, blocks = 2048;
    const size_t cache = static_cast<size_t>(blocks * kv * dim * 16);
    float* kc = Memory<float>(cache, 0.01f);
    float* vc = Memory<float>(cache, 0.5f);
    float* q = Memory<float>(static_cast<size_t>(512 * heads * dim), 0.1f);
    vector<int32_t> positions(512), slots(512);
    for (int32_t i = 0; i < 512; ++i)
      positions[static_cast<size_t>(i)] = slots[static_cast<size_t>(i)] = i;
    vector<float> freq(32, 0.5f);
    float* cos = Memory<float>(512 * 32, 1.0f);
    float* sin = Memory<float>(512 * 32);
    const RopeTableArgs table{positions.data(), nullptr, freq.data(), cos, sin, 512, 32, 1.0f};
    Report("rope_table 512 x 32 (out)", 512.0 * 32 * 8, Best([&] { RunAll(k.rope_table, table); }),
           read, "GB/s");
    const RopeKvWriteArgs write{x,
                                cos,
                                sin,
                                nullptr,
                                nullptr,
                                q,
                                kc,
                                vc,
                                slots.data(),
                                512,
                                (heads + 2 * kv) * dim - 512,
                                heads,
                                kv,
                                dim,
                                32,
                                0,
                                1e-6f};
    Report("rope_kv_write 512, 32+4 heads (in + out)", 512.0 * 40 * 64 * 8,
           Best([&] { RunAll(k.rope_kv_write, write); }), read, "GB/s");
    std::fill_n(q, 512 * heads * dim, 0.1f);
    std::fill_n(kc, cache, 0.01f);
    vector<int32_t> order(static_cast<size_t>(blocks));
    for (size_t i = 0; i < order.size(); ++i)
      order[i] = static_cast<int32_t>(i * 1021 % static_cast<size_t>(blocks));
    const auto attention = [&](int64_t batch, int32_t rows, int32_t context, int64_t h,
                               int64_t kvh) {
      vector<int32_t> starts, contexts, tables;
      const int32_t per = static_cast<int32_t>(blocks / batch);
      for (int32_t b = 0; b <= batch; ++b) starts.push_back(b * rows);
      contexts.assign(static_cast<size_t>(batch), context);
      AttentionArgs a{};
      a.q = q, a.k_cache = kc, a.v_cache = vc, a.y = y;
      a.q_starts = starts.data(), a.context_lens = contexts.data(), a.block_tables = order.data();
      a.batch = batch, a.heads = h, a.kv_heads = kvh, a.head_dim = dim, a.max_blocks = per;
      a.q_stride = a.y_stride = h * dim, a.causal = 1, a.scale = 0.125f;
      const double t = Best([&] { RunAll(k.attention, a); });
      const std::string name = "attention " + std::to_string(batch) + " x " + std::to_string(rows) +
                               " rows, " + std::to_string(context) + " keys, " + std::to_string(h) +
                               "/" + std::to_string(kvh);
      const double pairs =
          rows == 1 ? context
                    : 0.5 * rows * (rows + 1.0) + static_cast<double>(rows) * (context - rows);
      if (rows > 1)
        Report(name, 4.0 * static_cast<double>(batch * h * dim) * pairs, t, fma, "GFLOP/s");
      if (rows == 1)
        Report(name + " (KV)", 8.0 * static_cast<double>(batch * kvh * dim) * context, t, read,
               "GB/s");
    };
    attention(1, 512, 512, 32, 4);
    attention(1, 512, 512, 12, 12);
    attention(1, 128, 128, 32, 4);
    attention(1, 512, 8192, 32, 4);
    attention(1, 1, 1024, 32, 4);
    attention(1, 1, 16384, 32, 4);
    attention(32, 1, 1024, 32, 4);
  }
  {
    float* logits = reinterpret_cast<float*>(big);
    const int64_t n = 151936, rows = 32;
    for (int64_t i = 0; i < n * rows; ++i) logits[i] = static_cast<float>(i * 7919 % 1000) * 0.01f;
    const double t = Best([&] {
      std::atomic<int64_t> next{0};
      workers.Run([&](int) {
        for (int64_t r; (r = next++) < rows;)
          sink = static_cast<double>(k.row_stats(logits + r * n, n).sum_exp);
      });
    });
    Report("row_stats of 151936 (in)", static_cast<double>(n * rows) * 4, t, read, "GB/s");
    const SoftmaxArgs s{logits, y, 32, n, 1, 0};
    Report("softmax of 151936 (in + out)", static_cast<double>(n * rows) * 8,
           Best([&] { RunAll(k.softmax, s); }), read, "GB/s");
    const ReduceArgs r{logits, y, rows, n, 1, ReduceOp::kSum};
    Report("reduce sum of 151936 (in)", static_cast<double>(n * rows) * 4,
           Best([&] { RunAll(k.reduce, r); }), read, "GB/s");
    for (const auto& [op, name] :
         {std::pair{UnaryOp::kExp, "unary exp"}, std::pair{UnaryOp::kTanh, "unary tanh"},
          std::pair{UnaryOp::kErf, "unary erf"}}) {
      const UnaryArgs u{logits, y, 4 << 20, op};
      Report(std::string(name) + " (in + out)", 8.0 * (4 << 20), Best([&] { RunAll(k.unary, u); }),
             read, "GB/s");
    }
    const BinaryArgs b{logits,       logits + (4 << 20), y,         2,
                       {2048, 2048}, {2048, 1},          {2048, 1}, BinaryOp::kAdd};
    Report("binary add (in + out)", 12.0 * (4 << 20), Best([&] { RunAll(k.binary, b); }), read,
           "GB/s");
    const CopyArgs c{logits, y, 2, {2048, 2048}, {1, 2048}, {2048, 1}};
    Report("copy, transposing 2048 x 2048 (in + out)", 8.0 * (4 << 20),
           Best([&] { RunAll(k.copy, c); }), read, "GB/s");
  }
  for (const int64_t dim : {32, 64}) BenchTrainingAttention(*k.training, 16, 256, 8, dim, fma);
  BenchTrainingAttention(*k.training, 4, 1024, 12, 64, fma);
  BenchTraining(*k.training, k.reduce, reinterpret_cast<float*>(big), read);
  return 0;
}
