// The kernels for processors with AVX-512.
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

#define CK_CODE avx512
#define CK_LANES 16
#define CK_REGISTERS 32
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#include "VectorCode.hpp"
#pragma clang attribute pop

namespace ckernels {

constexpr VectorCode codeNamed(const char *name, bool hasDotProducts) {
  return {
      name,
      hasDotProducts,
      avx512::keptProjections,
      avx512::forward,
      avx512::backward,
      avx512::norm,
      avx512::normBackward,
      avx512::groupNorm,
      avx512::groupNormBackward,
      avx512::swiglu,
      avx512::rotaryNorm,
      avx512::rotaryNormBackward,
      avx512::crossEntropy,
      avx512::largestOfRows,
      avx512::draw,
      avx512::narrowProduct,
      avx512::wideProduct,
      avx512::expand,
      avx512::quantize,
      avx512::attentionStep,
      avx512::feedForwardStep,
      avx512::adamW,
      avx512::moveRows,
      avx512::attention,
  };
}

const VectorCode avx512VNNICode = codeNamed("avx512vnni", true);
const VectorCode avx512Code = codeNamed("avx512", false);

}  // namespace ckernels
#endif
