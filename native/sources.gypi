{
  "variables": {
    "native_sources": [
      "native/addon.cc",
      "native/environment.cc",
      "native/memory.cc",
      "native/params.cc",
      "native/plan.cc",
      "native/pool.cc",
      "native/sampler.cc",
      "native/session.cc",
      "native/steps.cc",
      "native/steps_attention.cc",
      "native/steps_basic.cc",
      "native/steps_linear.cc",
      "native/steps_peaks.cc",
      "native/steps_sample.cc",
      "kernels/cpu/dispatch.cc"
    ],
    "isa_sources": ["kernels/cpu/target.cc"],
    "isa_x64": ["scalar", "avx2", "avx512", "avx512_bf16"],
    "isa_arm64": ["scalar", "neon"],
    "scalar_flags": [],
    "avx2_flags": ["-mavx2", "-mfma", "-mf16c"],
    "avx512_flags": ["-mavx2", "-mfma", "-mf16c", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq"],
    "avx512_bf16_flags": [
      "-mavx2", "-mfma", "-mf16c", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni",
      "-mavx512bf16"
    ],
    "neon_flags": [],
    "shared_flags": [
      "-std=c++17", "-ffp-contract=off", "-fvisibility=hidden", "-fvisibility-inlines-hidden", "-Wall", "-Wextra"
    ]
  }
}
