// Products of a few rows of activations with a large weight, which libtorch's own product reads several times over.
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include "Internal.h"
#include "Products.hpp"
#include "ckernels.h"

namespace wideband {

bool isNarrow(const at::Tensor &x, const at::Tensor &weight) {
  constexpr int64_t mostRows = 16;
  const bool isRecorded = c10::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad());
  return !isRecorded && x.numel() <= mostRows * x.size(-1) && weight.is_contiguous();
}

at::Tensor narrowProduct(const at::Tensor &x, const at::Tensor &weight) {
  auto input = x.contiguous();
  auto shape = input.sizes().vec();
  shape.back() = weight.size(0);
  auto y = at::empty(shape, input.options());
  TORCH_CHECK(
      ck_narrow_product(
          input.numel() / weight.size(1), weight.size(1), weight.size(0), data(input), data(weight), mutableData(y),
          at::get_num_threads()),
      "the sizes are impossible");
  return y;
}

}  // namespace wideband
