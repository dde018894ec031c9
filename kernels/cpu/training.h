// The table of the kernels that only training needs, one a level.
#pragma once
#include "kernels/cpu/activation.h"
#include "kernels/cpu/attention_grad.h"
#include "kernels/cpu/cross_entropy.h"
#include "kernels/cpu/kernel_training.h"
#include "kernels/cpu/norm_grad.h"
#include "kernels/cpu/optimizer.h"
#include "kernels/cpu/packed_attention.h"
#include "kernels/cpu/rope_rows.h"
#include "kernels/cpu/rows.h"

namespace triga {
namespace {

constexpr TrainingKernels kTrainingKernels = {
    {packed_attention_tiles, packed_attention_scratch, packed_attention_run},
    {attention_grad_tiles, attention_grad_scratch, attention_grad_run},
    {update_tiles, nullptr, adamw_run},
    {update_tiles, nullptr, sgd_run},
    {update_tiles, nullptr, ema_run},
    {update_tiles, nullptr, fill_run},
    {sum_squares_tiles, nullptr, sum_squares_run},
    {sum_parts_tiles, nullptr, sum_parts_run},
    {cross_entropy_tiles, nullptr, cross_entropy_run},
    {cross_entropy_grad_tiles, nullptr, cross_entropy_grad_run},
    {norm_grad_tiles, nullptr, norm_grad_run<false>},
    {norm_grad_tiles, nullptr, norm_grad_run<true>},
    {rope_tiles, nullptr, rope_run},
    {update_tiles, nullptr, activation_run},
    {update_tiles, nullptr, activation_grad_run},
    {gather_tiles, nullptr, gather_run},
    {scatter_add_tiles, nullptr, scatter_add_run},
};

}  // namespace
}  // namespace triga
