// The table of the kernels that only training needs, one a level.
#pragma once
#include "kernels/cpu/attention_grad.h"
#include "kernels/cpu/kernel_training.h"
#include "kernels/cpu/packed_attention.h"

namespace triga {
namespace {

constexpr TrainingKernels kTrainingKernels = {
    {packed_attention_tiles, packed_attention_scratch, packed_attention_run},
    {attention_grad_tiles, attention_grad_scratch, attention_grad_run},
};

}  // namespace
}  // namespace triga
