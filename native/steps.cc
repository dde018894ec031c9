#include <string>
#include <utility>

#include "native/plan.h"

namespace triga {

Step LoadStep(const StepLoader& loader, const std::string& kernel) {
  static constexpr std::pair<const char*, Step (*)(const StepLoader&)> kFactories[] = {
      {"linear", LoadLinear},
      {"quantized_linear", LoadQuantizedLinear},
      {"quantize_rows", LoadQuantizeRows},
      {"matmul", LoadMatmul},
      {"embedding", LoadEmbedding},
      {"rms_norm", LoadRmsNorm},
      {"layer_norm", LoadLayerNorm},
      {"rms_norm_quantized", LoadRmsNormQuantized},
      {"layer_norm_quantized", LoadLayerNormQuantized},
      {"unary", LoadUnary},
      {"binary", LoadBinary},
      {"copy", LoadCopy},
      {"reduce", LoadReduce},
      {"unary_grad", LoadUnaryGrad},
      {"reduce_grad", LoadReduceGrad},
      {"pad", LoadPad},
      {"softmax", LoadSoftmax},
      {"gather_rows", LoadGatherRows},
      {"rope_table", LoadRopeTable},
      {"rope_kv_write", LoadRopeKvWrite},
      {"kv_write", LoadKvWrite},
      {"kv_copy", LoadKvCopy},
      {"paged_attention", LoadPagedAttention},
      {"attention", LoadAttention},
      {"attention_grad", LoadAttentionGrad},
      {"accumulate", LoadAccumulate},
      {"activation", LoadActivation},
      {"activation_grad", LoadActivationGrad},
      {"adamw", LoadAdamw},
      {"cross_entropy", LoadCrossEntropy},
      {"cross_entropy_grad", LoadCrossEntropyGrad},
      {"linear_cross_entropy", LoadLinearCrossEntropy},
      {"linear_cross_entropy_grad", LoadLinearCrossEntropyGrad},
      {"ema", LoadEma},
      {"embedding_grad", LoadEmbeddingGrad},
      {"embedding_rows", LoadEmbeddingRows},
      {"fill", LoadFill},
      {"layer_norm_grad", LoadLayerNormGrad},
      {"rms_norm_grad", LoadRmsNormGrad},
      {"rope", LoadRope},
      {"sgd", LoadSgd},
      {"sum_squares", LoadSumSquares},
      {"conv2d", LoadConv2d},
      {"pool2d", LoadPool2d},
      {"upsample2d", LoadUpsample2d},
      {"group_norm", LoadGroupNorm},
      {"conv2d_grad_x", LoadConv2dGradX},
      {"conv2d_grad_w", LoadConv2dGradW},
      {"pool2d_grad", LoadPool2dGrad},
      {"group_norm_grad", LoadGroupNormGrad},
      {"sample", LoadSample},
      {"peak_read", LoadPeakRead},
      {"peak_fma", LoadPeakFma},
      {"peak_dot", LoadPeakDot},
      {"peak_int8", LoadPeakInt8},
  };
  for (const auto& [name, factory] : kFactories) {
    if (kernel == name) return factory(loader);
  }
  loader.Expect(false, "a kernel that this binary has");
  return {};
}

}  // namespace triga
