# What users install: node-gyp and prebuildify. CMakeLists.txt reads the same native/sources.gypi (so that file stays plain
# JSON). gyp has no loops: an instruction set of sources.gypi has its target here too; test/build/sources.test.ts compares.
{
  "includes": ["native/sources.gypi"],
  "target_defaults": {
    "include_dirs": ["."],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": ["<@(shared_flags)"],
    "msvs_settings": {
      "VCCLCompilerTool": { "AdditionalOptions": ["/std:c++17", "/fp:precise", "/utf-8", "/W3"] }
    },
    "xcode_settings": {
      "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
      "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
      "OTHER_CPLUSPLUSFLAGS": ["<@(shared_flags)"]
    },
    "target_conditions": [
      ["_type=='static_library'", { "sources": ["<@(isa_sources)"] }]
    ]
  },
  "targets": [
    {
      "target_name": "triga",
      "sources": ["<@(native_sources)"],
      "cflags_cc!": ["-fno-rtti"],
      "xcode_settings": { "GCC_ENABLE_CPP_RTTI": "YES" },
      # The first define: what cannot be thrown, because the environment is ending, ends nothing else.
      "defines": ["NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS", "NAPI_VERSION=8", "TRIGA_VERSION=\"<!(node -p \"require('./package.json').version\")\""],
      "dependencies": [
        "<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except_all",
        "kernels_scalar"
      ],
      "conditions": [
        ["target_arch=='x64'", { "dependencies": ["kernels_avx2", "kernels_avx512", "kernels_avx512_vnni", "kernels_avx512_bf16", "kernels_avx512_amx"] }],
        ["target_arch=='arm64'", { "dependencies": ["kernels_neon", "kernels_neon_dotprod", "kernels_neon_i8mm"] }],
        # Node would unload the addon with its last worker thread, under the feet of the pool.
        ["OS=='linux'", {
          "ldflags": ["-Wl,-z,nodelete", "-Wl,--version-script=<(module_root_dir)/native/exports.map"]
        }]
      ]
    },
    { "target_name": "kernels_scalar", "type": "static_library", "defines": ["TRIGA_ISA=scalar"] }
  ],
  "conditions": [
    ["target_arch=='x64'", {
      "targets": [
        {
          "target_name": "kernels_avx2",
          "type": "static_library",
          "defines": ["TRIGA_ISA=avx2"],
          "cflags_cc": ["<@(avx2_flags)"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["<@(avx2_flags)"] },
          "msvs_settings": { "VCCLCompilerTool": { "AdditionalOptions": ["/arch:AVX2"] } }
        },
        {
          "target_name": "kernels_avx512",
          "type": "static_library",
          "defines": ["TRIGA_ISA=avx512"],
          "cflags_cc": ["<@(avx512_flags)"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["<@(avx512_flags)"] },
          "msvs_settings": { "VCCLCompilerTool": { "AdditionalOptions": ["/arch:AVX512"] } }
        },
        {
          "target_name": "kernels_avx512_vnni",
          "type": "static_library",
          "defines": ["TRIGA_ISA=avx512_vnni"],
          "cflags_cc": ["<@(avx512_vnni_flags)"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["<@(avx512_vnni_flags)"] },
          "msvs_settings": { "VCCLCompilerTool": { "AdditionalOptions": ["/arch:AVX512"] } }
        },
        {
          "target_name": "kernels_avx512_bf16",
          "type": "static_library",
          "defines": ["TRIGA_ISA=avx512_bf16"],
          "cflags_cc": ["<@(avx512_bf16_flags)"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["<@(avx512_bf16_flags)"] },
          "msvs_settings": { "VCCLCompilerTool": { "AdditionalOptions": ["/arch:AVX512"] } }
        },
        {
          "target_name": "kernels_avx512_amx",
          "type": "static_library",
          "defines": ["TRIGA_ISA=avx512_amx"],
          "cflags_cc": ["<@(avx512_amx_flags)"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["<@(avx512_amx_flags)"] },
          "msvs_settings": { "VCCLCompilerTool": { "AdditionalOptions": ["/arch:AVX512"] } }
        }
      ]
    }],
    ["target_arch=='arm64'", {
      "targets": [
        {
          "target_name": "kernels_neon",
          "type": "static_library",
          "defines": ["TRIGA_ISA=neon"],
          "cflags_cc": ["<@(neon_flags)"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["<@(neon_flags)"] }
        },
        {
          "target_name": "kernels_neon_dotprod",
          "type": "static_library",
          "defines": ["TRIGA_ISA=neon_dotprod"],
          "cflags_cc": ["<@(neon_dotprod_flags)"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["<@(neon_dotprod_flags)"] }
        },
        {
          "target_name": "kernels_neon_i8mm",
          "type": "static_library",
          "defines": ["TRIGA_ISA=neon_i8mm"],
          "cflags_cc": ["<@(neon_i8mm_flags)"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["<@(neon_i8mm_flags)"] }
        }
      ]
    }]
  ]
}
