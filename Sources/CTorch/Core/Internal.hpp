// Shared by the files of this target: the content of handles, and the conversion of exceptions to messages.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include <exception>
#include <string>
#include <utility>

#include "ctorch.h"

struct wb_tensor {
  at::Tensor value;
};

struct wb_generator {
  at::Generator value;
};

namespace wideband {

void setLastError(const char *message);

/// Configures the process's allocators, before the first operator.
void prepareMemory();

inline wb_tensor *handle(at::Tensor value) { return new wb_tensor{std::move(value)}; }

inline c10::Device device(int64_t packed) {
  return c10::Device(static_cast<c10::DeviceType>(packed & 0xff), static_cast<c10::DeviceIndex>(packed >> 32));
}

/// Whether the processor's kernels can read a tensor: float32 in the processor's memory.
inline bool isFloatOnProcessor(const at::Tensor &tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat;
}

/// The first element of a contiguous float32 tensor; null for an undefined one. Untyped access: the typed template's
/// symbol is mangled differently by the compiler that built libtorch.
inline const float *data(const at::Tensor &tensor) {
  return tensor.defined() ? static_cast<const float *>(tensor.const_data_ptr()) : nullptr;
}

inline float *mutableData(const at::Tensor &tensor) { return static_cast<float *>(tensor.mutable_data_ptr()); }

/// Runs `body`; an exception becomes the thread's last error, and `failed` the result.
template <typename Result, typename Body>
Result guarded(Result failed, Body &&body) noexcept {
  try {
    return body();
  } catch (const c10::Error &error) {
    setLastError(error.what_without_backtrace());
  } catch (const std::exception &error) {
    setLastError(error.what());
  } catch (...) {
    setLastError("an unknown C++ exception");
  }
  return failed;
}

/// A handle of the tensor that `body` returns; null after an exception.
template <typename Body>
wb_tensor *guardedTensor(Body &&body) noexcept {
  return guarded<wb_tensor *>(nullptr, [&] { return handle(body()); });
}

/// Runs `body`; false after an exception.
template <typename Body>
bool guardedAction(Body &&body) noexcept {
  return guarded(false, [&] {
    body();
    return true;
  });
}

}  // namespace wideband
