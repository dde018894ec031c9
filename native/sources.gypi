{
  "variables": {
    "native_sources": [
      "native/addon.cc",
      "native/bpe_encoder.cc",
      "native/bpe_merges.cc",
      "native/bpe_trainer.cc",
      "native/bpe_wrap.cc",
      "native/direct.cc",
      "native/environment.cc",
      "native/file.cc",
      "native/memory.cc",
      "native/params.cc",
      "native/plan.cc",
      "native/pool.cc",
      "native/sampler.cc",
      "native/session.cc",
      "native/steps.cc",
      "native/steps_attention.cc",
      "native/steps_basic.cc",
      "native/steps_cross_entropy.cc",
      "native/steps_int8.cc",
      "native/steps_linear.cc",
      "native/steps_matmul.cc",
      "native/steps_optimizer.cc",
      "native/steps_packed_attention.cc",
      "native/steps_peaks.cc",
      "native/steps_picture.cc",
      "native/steps_picture_grad.cc",
      "native/steps_sample.cc",
      "native/steps_training.cc",
      "native/word_counts.cc",
      "native/word_scanner.cc",
      "kernels/cpu/dispatch.cc"
    ],
    "isa_sources": ["kernels/cpu/target.cc"],
    "isa_x64": ["scalar", "avx2", "avx512", "avx512_vnni", "avx512_bf16", "avx512_amx"],
    "isa_arm64": ["scalar", "neon", "neon_dotprod", "neon_i8mm"],
    "scalar_flags": [],
    "avx2_flags": ["-mavx2", "-mfma", "-mf16c"],
    "avx512_flags": ["-mavx2", "-mfma", "-mf16c", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq"],
    "avx512_vnni_flags": [
      "-mavx2", "-mfma", "-mf16c", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni"
    ],
    "avx512_bf16_flags": [
      "-mavx2", "-mfma", "-mf16c", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni",
      "-mavx512bf16"
    ],
    "avx512_amx_flags": [
      "-mavx2", "-mfma", "-mf16c", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni",
      "-mavx512bf16", "-mamx-tile", "-mamx-bf16", "-mamx-int8"
    ],
    "neon_flags": ["-DTRIGA_NEON"],
    "neon_dotprod_flags": ["-DTRIGA_NEON", "-march=armv8.2-a+dotprod"],
    "neon_i8mm_flags": ["-DTRIGA_NEON", "-march=armv8.2-a+dotprod+i8mm"],
    "shared_flags": [
      "-std=c++17", "-ffp-contract=off", "-fvisibility=hidden", "-fvisibility-inlines-hidden", "-Wall", "-Wextra"
    ]
  }
}
