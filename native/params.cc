#include "native/params.h"

#include <algorithm>
#include <cstring>

#include "native/error.h"

namespace triga {
namespace {

constexpr int64_t kItemBytes = int64_t{4} << 20;
constexpr size_t kAlign = 64;
constexpr int64_t kMaxSize = int64_t{1} << 44;
constexpr int64_t kScaleBytes = 2;  // of q8

int64_t RoundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Numbers in a panel's column: bf16 panels hold pairs.
int64_t PanelK(const ParamSpec& spec, int64_t k) {
  return spec.dtype == DType::kBF16 ? RoundUp(k, 2) : k;
}

size_t PackedBytes(const ParamSpec& spec, const Param& p) {
  const int64_t columns = RoundUp(p.n, kPanel) * (p.gated ? 2 : 1);
  if (spec.dtype == DType::kQ8)
    return static_cast<size_t>(columns * ScalesOf(p.k)) * (kGroup + kScaleBytes);
  return static_cast<size_t>(columns * p.panels_k) * BytesOf(spec.dtype);
}

float ToFloat(const char* p, DType dtype) {
  if (dtype == DType::kF32) {
    float x;
    std::memcpy(&x, p, sizeof x);
    return x;
  }
  uint16_t bits;
  std::memcpy(&bits, p, sizeof bits);
  uint32_t u;
  float x;
  if (dtype == DType::kBF16) {
    u = static_cast<uint32_t>(bits) << 16;
    std::memcpy(&x, &u, sizeof x);
    return x;
  }
  const uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023,
                 sign = static_cast<uint32_t>(bits >> 15) << 31;
  if (exponent == 0) {
    x = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -x : x;
  }
  u = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
  std::memcpy(&x, &u, sizeof x);
  return x;
}

bool IsFinite(const char* f16) {
  uint16_t bits;
  std::memcpy(&bits, f16, sizeof bits);
  return (bits & 0x7c00) != 0x7c00;
}

[[noreturn]] void FailScale(const ParamPart& part, int64_t row) {
  const bool stored = part.dtype == DType::kQ8;
  throw EngineError(
      ErrorCode::kModelFormat,
      "tensor \"" + part.name + "\": row " + std::to_string(row) +
          (stored ? ": expected finite scales, got another"
                  : ": expected finite weights of at most 8,319,008 in magnitude, as q8 "
                    "can hold, got another"));
}

void CheckSpec(const ParamSpec& spec) {
  const auto fail = [](const char* why) {
    throw EngineError(ErrorCode::kInternal, std::string("parameter: ") + why);
  };
  if (spec.parts.empty()) fail("no parts");
  const int64_t k = spec.parts[0].k;
  for (const ParamPart& p : spec.parts) {
    if (p.n < 0 || p.k < 1 || p.k != k || p.place.offset < 0 || p.scales.offset < 0)
      fail("sizes out of range");
    if (p.n > kMaxSize / p.k) fail("too large");
    if (spec.gated && p.n != spec.parts[0].n) fail("gate and up projection differ in size");
    const size_t want = static_cast<size_t>(p.n * p.k) * BytesOf(p.dtype);
    if (!p.data.empty() && p.data.size() != want) fail("data of the wrong length");
    if ((p.dtype == DType::kI32) != (spec.dtype == DType::kI32)) fail("integers and floats mixed");
    if (p.dtype == DType::kI8) fail("bytes without scales");
    if (p.dtype == DType::kQ8 && (p.place.file.empty() || p.scales.file.empty() || p.transposed))
      fail("q8 comes from files, not transposed");
    if (p.dtype == DType::kQ8 && spec.layout != ParamLayout::kPanels) fail("a vector of q8");
  }
  if (spec.gated && spec.parts.size() != 2) fail("a gated parameter has two parts");
  if (spec.layout == ParamLayout::kPanels &&
      (spec.dtype == DType::kI32 || spec.dtype == DType::kI8))
    fail("panels of integers");
  if (spec.layout == ParamLayout::kVector && spec.dtype != DType::kF32 && spec.dtype != DType::kI32)
    fail("vectors are f32 or i32");
  if (spec.layout == ParamLayout::kVector && spec.gated && k != 1)
    fail("a gated vector has one number a column");
}

// Rows of q8 as f32. `first` is their first row in the tensor.
std::vector<float> Dequantized(const char* bytes, const char* scales, const ParamPart& part,
                               int64_t first, int64_t rows) {
  std::vector<float> out(static_cast<size_t>(rows * part.k));
  for (int64_t i = 0, at = 0; i < rows * ScalesOf(part.k); ++i) {
    const int64_t row = i / ScalesOf(part.k);
    if (!IsFinite(scales + i * kScaleBytes)) FailScale(part, first + row);
    const float scale = ToFloat(scales + i * kScaleBytes, DType::kF16);
    for (const int64_t end = std::min(at + kGroup, (row + 1) * part.k); at < end; ++at)
      out[static_cast<size_t>(at)] = static_cast<float>(static_cast<int8_t>(bytes[at])) * scale;
  }
  return out;
}

}  // namespace

size_t BytesOf(DType dtype) {
  if (dtype == DType::kI8 || dtype == DType::kQ8) return 1;
  return dtype == DType::kF16 || dtype == DType::kBF16 ? 2 : 4;
}

WeightType ToWeightType(DType dtype) {
  if (dtype == DType::kF16) return WeightType::kF16;
  if (dtype == DType::kBF16) return WeightType::kBF16;
  if (dtype == DType::kQ8) return WeightType::kQ8;
  return WeightType::kF32;
}

int64_t ScalesOf(int64_t k) { return (k + kGroup - 1) / kGroup; }

Q8Group Q8GroupOf(const Param& param, int64_t column, int64_t group, int gate) {
  const int64_t panel = gate ? column / kPanel * 2 + gate - 1 : column / kPanel;
  char* at = param.data + (panel * ScalesOf(param.k) + group) * (kGroup + kScaleBytes) * kPanel;
  const int64_t lane = column % kPanel;
  return {at + lane * 4, at + kGroup * kPanel + lane * kScaleBytes};
}

namespace {

template <class Args>
void Pack(const Kernel<Args>& kernel, const Args& args) {
  std::vector<char> room(ScratchOf(kernel, args) + kAlign);
  char* aligned =
      room.data() + (kAlign - reinterpret_cast<uintptr_t>(room.data()) % kAlign) % kAlign;
  kernel.run(args, 0, kernel.tiles(args), aligned);
}

// `begin` is the first row in the tensor. Scales are those of rows stored as q8.
void PackPanels(const Param& param, const ParamPart& part, int64_t begin, const PackQ8Args& args,
                const CpuKernels& kernels) {
  PackArgs pack = args.pack;
  if (param.dtype == DType::kQ8) {
    Pack(kernels.pack_q8, args);
    for (int64_t i = 0; i < pack.n * ScalesOf(part.k); ++i) {
      const int64_t row = i / ScalesOf(part.k), group = i % ScalesOf(part.k);
      if (!IsFinite(Q8GroupOf(param, pack.first_column + row, group, pack.gated).scale))
        FailScale(part, begin + row);
    }
    return;
  }
  std::vector<float> wide;
  if (part.dtype == DType::kQ8) {
    wide = Dequantized(static_cast<const char*>(pack.source), static_cast<const char*>(args.scales),
                       part, begin, pack.n);
    pack.source = wide.data();
    pack.source_type = WeightType::kF32;
  }
  Pack(kernels.pack, pack);
}

}  // namespace

ParamBatch::ParamBatch(std::vector<ParamSpec> specs) : specs_(std::move(specs)) {
  size_t total = 0;
  std::vector<size_t> offsets;
  for (size_t i = 0; i < specs_.size(); ++i) {
    const ParamSpec& spec = specs_[i];
    CheckSpec(spec);
    Param p{spec.layout, spec.dtype, spec.gated, 0, spec.parts[0].k};
    for (const ParamPart& part : spec.parts) p.n += part.n;
    if (spec.gated) p.n = spec.parts[0].n;
    p.panels_k = spec.layout == ParamLayout::kPanels ? PanelK(spec, p.k) : p.k;
    p.bytes = PackedBytes(spec, p);
    offsets.push_back(total);
    total += (p.bytes + kAlign - 1) / kAlign * kAlign;
    params_.push_back(p);
    // Parts whose borders lie inside a panel are packed one after the other, by one thread.
    bool aligned = true;
    for (size_t j = 0; j + 1 < spec.parts.size() && !spec.gated; ++j)
      aligned = aligned && spec.parts[j].n % kPanel == 0;
    if (!aligned) {
      items_.push_back({static_cast<int64_t>(i), -1, 0, 0});
      continue;
    }
    for (size_t j = 0; j < spec.parts.size(); ++j) {
      const ParamPart& part = spec.parts[j];
      const int64_t row_bytes = part.k * static_cast<int64_t>(BytesOf(part.dtype));
      const int64_t rows =
          part.transposed ? part.n : std::max(kPanel, kItemBytes / row_bytes / kPanel * kPanel);
      for (int64_t b = 0; b < part.n; b += rows) {
        items_.push_back(
            {static_cast<int64_t>(i), static_cast<int64_t>(j), b, std::min(part.n, b + rows)});
      }
    }
  }
  memory_ = Memory(total);
  for (size_t i = 0; i < params_.size(); ++i) params_[i].data = memory_.data() + offsets[i];
}

void ParamBatch::Load(int64_t index, const CpuKernels& kernels, std::vector<char>& staging) {
  const Item& item = items_[static_cast<size_t>(index)];
  if (item.part >= 0) {
    LoadPart(item.param, item.part, item.begin, item.end, kernels, staging);
    return;
  }
  const auto& parts = specs_[static_cast<size_t>(item.param)].parts;
  for (size_t j = 0; j < parts.size(); ++j)
    LoadPart(item.param, static_cast<int64_t>(j), 0, parts[j].n, kernels, staging);
}

void ParamBatch::LoadPart(int64_t param, int64_t part, int64_t begin, int64_t end,
                          const CpuKernels& kernels, std::vector<char>& staging) {
  const ParamSpec& spec = specs_[static_cast<size_t>(param)];
  int64_t first = begin;
  if (!spec.gated) {
    for (int64_t j = 0; j < part; ++j) first += spec.parts[static_cast<size_t>(j)].n;
  }
  const int gate = spec.gated ? 1 + static_cast<int>(part) : 0;
  LoadRows(params_[static_cast<size_t>(param)], spec, spec.parts[static_cast<size_t>(part)], first,
           begin, end, gate, kernels, staging);
}

void ParamBatch::LoadRows(const Param& param, const ParamSpec& spec, const ParamPart& part,
                          int64_t first_column, int64_t begin, int64_t end, int gate,
                          const CpuKernels& kernels, std::vector<char>& staging) {
  const int64_t size = static_cast<int64_t>(BytesOf(part.dtype));
  const int64_t bytes = (end - begin) * part.k * size;
  const int64_t at = part.transposed ? 0 : begin * part.k * size;
  const int64_t row_scales = part.dtype == DType::kQ8 ? ScalesOf(part.k) * kScaleBytes : 0;
  const char* source = reinterpret_cast<const char*>(part.data.data()) + at;
  const char* scales = nullptr;
  if (part.data.empty()) {
    if (part.place.file.empty()) return;  // zeros, as the memory is
    staging.resize(static_cast<size_t>(bytes + (end - begin) * row_scales));
    ReadFully(part.place, at, staging.data(), bytes);
    source = staging.data();
    if (row_scales) {
      ReadFully(part.scales, begin * row_scales, staging.data() + bytes,
                (end - begin) * row_scales);
      scales = source + bytes;
    }
  }
  if (param.layout == ParamLayout::kPanels) {
    const PackArgs args{source,
                        param.data,
                        end - begin,
                        part.k,
                        first_column,
                        ToWeightType(part.dtype),
                        ToWeightType(spec.dtype),
                        part.transposed ? 1 : 0,
                        gate};
    PackPanels(param, part, begin, {args, scales}, kernels);
    return;
  }
  if (spec.dtype == DType::kI32) {
    std::memcpy(param.data + first_column * part.k * 4, source, static_cast<size_t>(bytes));
    return;
  }
  float* out = reinterpret_cast<float*>(param.data);
  for (int64_t i = 0; i < (end - begin) * part.k; ++i) {
    int64_t to = first_column * part.k + i;
    if (gate) to = to / kPanel * 2 * kPanel + (gate - 1) * kPanel + to % kPanel;
    out[to] = ToFloat(source + i * size, part.dtype);
  }
}

void ParamBatch::Close() {
  specs_.clear();
  items_.clear();
}

}  // namespace triga
