// The kernels for processors with AVX2 and FMA.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "Kernels.hpp"
#include "Scratch.hpp"
#include "Threads.hpp"

#define CK_CODE avx2
#define CK_LANES 8
#define CK_REGISTERS 16
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "VectorCode.hpp"
#pragma clang attribute pop

namespace ckernels {

const VectorCode avx2Code{
    "avx2",
    false,
    avx2::keptProjections,
    avx2::forward,
    avx2::backward,
    avx2::norm,
    avx2::normBackward,
    avx2::groupNorm,
    avx2::groupNormBackward,
    avx2::swiglu,
    avx2::rotaryNorm,
    avx2::rotaryNormBackward,
    avx2::crossEntropy,
    avx2::largestOfRows,
    avx2::draw,
    avx2::narrowProduct,
    avx2::wideProduct,
    avx2::expand,
    avx2::quantize,
    avx2::attentionStep,
    avx2::feedForwardStep,
    avx2::adamW,
    avx2::moveRows,
    avx2::attention,
};

}  // namespace ckernels
#endif
