// Tensor handles: shape, dtype, device and elements, and tensors over memory of the caller.
#include <ATen/ops/from_blob.h>

#include "Core/Internal.hpp"

void wb_tensor_release(wb_tensor *tensor) { delete tensor; }

wb_tensor *wb_tensor_retain(const wb_tensor *tensor) { return wideband::handle(tensor->value); }

int wb_tensor_rank(const wb_tensor *tensor) { return static_cast<int>(tensor->value.dim()); }

int64_t wb_tensor_size(const wb_tensor *tensor, int axis) { return tensor->value.sizes()[axis]; }

int64_t wb_tensor_count(const wb_tensor *tensor) { return tensor->value.numel(); }

int wb_tensor_dtype(const wb_tensor *tensor) { return static_cast<int>(tensor->value.scalar_type()); }

int64_t wb_tensor_device(const wb_tensor *tensor) {
  auto device = tensor->value.device();
  int64_t index = device.has_index() ? device.index() : 0;
  return (index << 32) | static_cast<int64_t>(device.type());
}

void *wb_tensor_data(const wb_tensor *tensor) {
  const at::Tensor &value = tensor->value;
  if (!value.device().is_cpu() || !value.is_contiguous()) return nullptr;
  return value.data_ptr();
}

wb_tensor *wb_tensor_borrow(
    void *memory, const int64_t *sizes, int rank, int dtype, void (*release)(void *), void *context) {
  return wideband::guardedTensor([&] {
    auto options = at::TensorOptions().dtype(static_cast<at::ScalarType>(dtype));
    auto shape = at::IntArrayRef(sizes, rank);
    if (!release) return at::from_blob(memory, shape, options);
    return at::from_blob(memory, shape, [release, context](void *) { release(context); }, options);
  });
}
