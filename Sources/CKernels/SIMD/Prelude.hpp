// What the kernels include, and the vector code that they are compiled for.
//
// Kernels include other kernels and this header alone, which must come before the instructions of a vector code are
// enabled: inline functions of the standard library that were compiled with them would be linked into code for every
// processor.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

#include "Dispatch/Kernels.hpp"
#include "Runtime/Scratch.hpp"
#include "Runtime/Threads.hpp"

// A header that is compiled alone, as in an editor, is compiled for the portable code.
#ifndef CK_CODE
#define CK_CODE portable
#define CK_LANES 4
#if defined(__aarch64__)
#define CK_REGISTERS 32
#else
#define CK_REGISTERS 16
#endif
#endif
