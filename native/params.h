// Reads checkpoint tensors into the layouts that kernels want: once, in parallel, off the JavaScript thread.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cpu/kernel.h"
#include "native/file.h"
#include "native/memory.h"

namespace triga {

// kQ8 is a format of weights: bytes with a f16 scale for each kGroup of a row.
enum class DType : int32_t { kF32 = 0, kF16 = 1, kBF16 = 2, kI32 = 3, kI8 = 4, kQ8 = 5 };
size_t BytesOf(DType dtype);  // of an element; of q8 without its share of a scale
WeightType ToWeightType(DType dtype);
int64_t ScalesOf(int64_t k);  // scales of a q8 row

// One tensor that goes into a parameter: rows of a matrix [n, k], or a vector (k = 1).
struct ParamPart {
  std::string name;  // what messages call it
  FilePlace place;   // in no file: `data`, or zeros where that is empty too
  FilePlace scales;  // of q8: f16 [n, ScalesOf(k)]; the bytes are at `place`
  std::vector<uint8_t> data;
  DType dtype = DType::kF32;
  int64_t n = 0, k = 0;
  bool transposed = false;  // stored as [k, n]
};

enum class ParamLayout { kPanels, kVector };

struct ParamSpec {
  ParamLayout layout = ParamLayout::kVector;
  bool gated = false;
  DType dtype = DType::kF32;  // of the packed numbers
  std::vector<ParamPart> parts;
};

// A packed parameter. Panels: as kernel.h says. Vector: numbers in column order (panel order if gated), padded to whole panels.
struct Param {
  ParamLayout layout;
  DType dtype;
  bool gated;
  int64_t n;             // columns of the result that the parameter serves (of one part, if gated)
  int64_t k;             // 1 for vectors
  int64_t panels_k = 0;  // numbers of a panel column in memory
  char* data = nullptr;
  size_t bytes = 0;
};

// A column's numbers of one group in q8 panels: four of k at weights + 64 · i, each as w + 128, and the f16 scale.
struct Q8Group {
  char* weights;
  char* scale;
};
// `gate` 1 or 2: the column of the gate's or the up projection's panels.
Q8Group Q8GroupOf(const Param& param, int64_t column, int64_t group, int gate);

// Parameters loaded together share one mapping.
class ParamBatch {
 public:
  // Checks the specs and takes memory for them. Throws EngineError.
  explicit ParamBatch(std::vector<ParamSpec> specs);

  int64_t items() const { return static_cast<int64_t>(items_.size()); }
  // Reads and packs one item; items are independent. `staging` belongs to the thread. Throws EngineError.
  void Load(int64_t item, const CpuKernels& kernels, std::vector<char>& staging);
  // Lets go of the specs.
  void Close();

  const std::vector<Param>& params() const { return params_; }
  size_t bytes() const { return memory_.bytes(); }

 private:
  // Rows [begin, end) of one part, or (part < 0) a whole parameter whose parts share panels.
  struct Item {
    int64_t param, part, begin, end;
  };
  void LoadRows(const Param& param, const ParamSpec& spec, const ParamPart& part,
                int64_t first_column, int64_t begin, int64_t end, int gate,
                const CpuKernels& kernels, std::vector<char>& staging);
  void LoadPart(int64_t param, int64_t part, int64_t begin, int64_t end, const CpuKernels& kernels,
                std::vector<char>& staging);

  std::vector<ParamSpec> specs_;
  std::vector<Param> params_;
  std::vector<Item> items_;
  Memory memory_;
};

}  // namespace triga
