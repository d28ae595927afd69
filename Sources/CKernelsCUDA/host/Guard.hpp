// Shared by the C functions: failures become a message, and arrays are checked.
#pragma once

#include <cstdint>
#include <exception>
#include <initializer_list>

#include "Libraries.hpp"

namespace ckernels::cuda {

/// The message of the last failure on this thread.
std::string &lastError();

/// Runs `body`; a failure becomes the thread's last error and `failed` the result.
template <class Result, class Body>
Result guarded(Result failed, Body body) noexcept {
  try {
    return body();
  } catch (const Failure &failure) {
    lastError() = failure.message;
  } catch (const std::exception &error) {
    lastError() = error.what();
  }
  return failed;
}

/// The same for a body without a result: whether it succeeded.
template <class Body>
bool succeeds(Body body) noexcept {
  return guarded(false, [&] {
    body();
    return true;
  });
}

/// Throws a `Failure` unless all of them are aligned to 16 bytes, or null.
inline void requireAligned(std::initializer_list<const void *> pointers) {
  for (const void *pointer : pointers)
    if (reinterpret_cast<std::uintptr_t>(pointer) % 16 != 0)
      throw Failure{"an array that a kernel takes does not begin at a multiple of 16 bytes"};
}

}  // namespace ckernels::cuda
