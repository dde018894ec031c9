// Compiled once an instruction set, with its flags and -DTRIGA_ISA=<name>. Lists the kernels; holds
// no logic.
#include "kernels/cpu/attention.h"
#include "kernels/cpu/conv2d.h"
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/embedding.h"
#include "kernels/cpu/gradients.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/linear_amx.h"
#include "kernels/cpu/linear_int8.h"
#include "kernels/cpu/linear_int8_amx.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/pack_int8.h"
#include "kernels/cpu/peaks.h"
#include "kernels/cpu/peaks_amx.h"
#include "kernels/cpu/picture.h"
#include "kernels/cpu/quantize_rows.h"
#include "kernels/cpu/reduce.h"
#include "kernels/cpu/rope.h"
#include "kernels/cpu/training.h"
#include "kernels/cpu/transpose.h"

#define TRIGA_PASTE_(a, b) a##b
#define TRIGA_PASTE(a, b) TRIGA_PASTE_(a, b)
#define TRIGA_QUOTE_(x) #x
#define TRIGA_QUOTE(x) TRIGA_QUOTE_(x)
#define TRIGA_TABLE TRIGA_PASTE(kernels_, TRIGA_ISA)

namespace triga {

extern const CpuKernels TRIGA_TABLE;
const CpuKernels TRIGA_TABLE = {
    TRIGA_QUOTE(TRIGA_ISA),
    linear_kernel<WeightsF32>(),
    linear_kernel<WeightsF16>(),
    linear_kernel<WeightsBF16>(),
    linear_dot_kernel(),
    {pack_tiles, nullptr, pack_run},
    {pack_q8_tiles, nullptr, pack_q8_run},
    {embedding_tiles, nullptr, embedding_run},
    {norm_tiles, nullptr, rms_norm_run},
    {norm_tiles, nullptr, layer_norm_run},
    {quantize_rows_tiles, nullptr, quantize_rows_run},
    {quantized_norm_tiles, quantized_norm_scratch, quantized_norm_run<rms_norm_run>},
    {quantized_norm_tiles, quantized_norm_scratch, quantized_norm_run<layer_norm_run>},
    int8_rows_kernel(),
    linear_int8_kernel<GroupsQ8>(),
    linear_int8_kernel<GroupsOfAny>(),
    {rope_table_tiles, nullptr, rope_table_run},
    {rope_kv_write_tiles, rope_kv_write_scratch, rope_kv_write_run},
    {attention_tiles, attention_scratch, attention_run},
    {unary_tiles, nullptr, unary_run},
    {binary_tiles, nullptr, binary_run},
    {copy_tiles, nullptr, copy_run},
    {reduce_tiles, nullptr, reduce_run},
    {pad_tiles, nullptr, pad_run},
    {softmax_tiles, nullptr, softmax_run},
    {conv2d_tiles, conv2d_scratch, conv2d_run},
    {pool2d_tiles, nullptr, pool2d_run},
    {upsample2d_tiles, nullptr, upsample2d_run},
    {group_norm_tiles, nullptr, group_norm_run},
    to_bf16_kernel(),
    {transpose_tiles, nullptr, transpose_run},
    row_stats,
    {peak_read_tiles, peak_scratch, peak_read_run},
    {peak_compute_tiles, peak_scratch, peak_fma_run},
    peak_dot_kernel(),
    {peak_compute_tiles, peak_scratch, peak_int8_run},
    &kTrainingKernels,
    &kGradientKernels,
};

}  // namespace triga
