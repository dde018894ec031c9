// The kernels of gradients of a level.
#pragma once
#include "kernels/cpu/conv2d_grad.h"
#include "kernels/cpu/kernel_gradients.h"
#include "kernels/cpu/picture_grad.h"
#include "kernels/cpu/reduce_grad.h"
#include "kernels/cpu/unary_grad.h"

namespace triga {
namespace {

constexpr GradientKernels kGradientKernels = {
    {unary_grad_tiles, nullptr, unary_grad_run},
    {reduce_grad_tiles, nullptr, reduce_grad_run},
    {conv2d_turn_tiles, nullptr, conv2d_turn_run},
    {conv2d_grad_w_tiles, conv2d_grad_w_scratch, conv2d_grad_w_run},
    {pool2d_grad_tiles, nullptr, pool2d_grad_run},
    {group_norm_grad_tiles, nullptr, group_norm_grad_run},
};

}  // namespace
}  // namespace triga
