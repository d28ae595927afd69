// The kernels of SwiGLU on contiguous float32 tensors of one shape.
#pragma once

#include <ATen/core/Tensor.h>

namespace wideband {

/// product = silu(gate) * up; `product` may be `gate`.
void swiglu(const at::Tensor &gate, const at::Tensor &up, const at::Tensor &product);

/// The gradients of gate and up. `product` holds the gradient of the product before and the product after the call.
void swigluBackward(
    const at::Tensor &gate, const at::Tensor &up, const at::Tensor &product, const at::Tensor &gateGradient,
    const at::Tensor &upGradient);

}  // namespace wideband
