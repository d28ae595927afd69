// The kernels for processors with AVX2 and FMA.
#if defined(__x86_64__)
#define CK_CODE avx2
#define CK_LANES 8
#define CK_REGISTERS 16
#include "SIMD/Prelude.hpp"

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "Dispatch/AllKernels.hpp"
#pragma clang attribute pop

namespace ckernels {

const VectorCode avx2Code{"avx2", false, CK_TABLE};

}  // namespace ckernels
#endif
