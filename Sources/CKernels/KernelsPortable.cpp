// The kernels for any processor: registers of four floats, which every 64-bit one has.
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

#define CK_CODE portable
#define CK_LANES 4
#if defined(__aarch64__)
#define CK_REGISTERS 32
#else
#define CK_REGISTERS 16
#endif
#include "VectorCode.hpp"

namespace ckernels {

const VectorCode portableCode{
    "portable",
    false,
    portable::keptProjections,
    portable::forward,
    portable::backward,
    portable::norm,
    portable::normBackward,
    portable::groupNorm,
    portable::groupNormBackward,
    portable::swiglu,
    portable::rotaryNorm,
    portable::rotaryNormBackward,
    portable::crossEntropy,
    portable::largestOfRows,
    portable::draw,
    portable::narrowProduct,
    portable::wideProduct,
    portable::expand,
    portable::quantize,
    portable::attentionStep,
    portable::feedForwardStep,
    portable::adamW,
    portable::moveRows,
    portable::attention,
};

}  // namespace ckernels
