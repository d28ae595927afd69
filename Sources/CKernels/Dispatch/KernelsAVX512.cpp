// The kernels for processors with AVX-512.
#if defined(__x86_64__)
#define CK_CODE avx512
#define CK_LANES 16
#define CK_REGISTERS 32
#include "SIMD/Prelude.hpp"

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#include "Dispatch/AllKernels.hpp"
#pragma clang attribute pop

namespace ckernels {

const VectorCode avx512VNNICode{"avx512vnni", true, CK_TABLE};
const VectorCode avx512Code{"avx512", false, CK_TABLE};

}  // namespace ckernels
#endif
