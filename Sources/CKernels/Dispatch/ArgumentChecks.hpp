// Whether a kernel's arguments are possible, and whether they leave anything to do.
#pragma once

#include "Dispatch/Kernels.hpp"

namespace ckernels {

enum class Check { impossible, empty, possible };

/// Sizes above this could overflow the products of sizes that kernels form.
constexpr int64_t maximumSize = int64_t(1) << 20;

inline Check checked(bool isPossible, bool isEmpty) {
  return !isPossible ? Check::impossible : isEmpty ? Check::empty : Check::possible;
}

bool isPossible(const ck_connection &connection);

// One for each type of arguments; a type that two kernels share is declared twice.
#define CK_CHECK(kernel, function, Args) Check check(const Args &args);
CK_KERNELS(CK_CHECK)
#undef CK_CHECK

}  // namespace ckernels
