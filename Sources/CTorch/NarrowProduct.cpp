// Products of a few rows of activations with a large weight, which libtorch's own product reads several times over.
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include "Internal.h"
#include "ckernels.h"

namespace {

bool isPlain(const at::Tensor &tensor) {
  return wideband::isFloatOnProcessor(tensor) && !(c10::GradMode::is_enabled() && tensor.requires_grad());
}

}  // namespace

bool wb_narrow_product_is_supported(const wb_tensor *x, const wb_tensor *weight) {
  const auto &left = x->value, &right = weight->value;
  return isPlain(left) && isPlain(right) && left.dim() > 0 && right.dim() == 2 && right.is_contiguous() &&
         right.size(1) > 0 && left.size(-1) == right.size(1);
}

wb_tensor *wb_narrow_product(const wb_tensor *x, const wb_tensor *weight) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    auto input = x->value.contiguous();
    const auto &matrix = weight->value;
    auto shape = input.sizes().vec();
    shape.back() = matrix.size(0);
    auto y = at::empty(shape, input.options());
    TORCH_CHECK(
        ck_narrow_product(
            input.numel() / matrix.size(1), matrix.size(1), matrix.size(0), wideband::data(input), wideband::data(matrix),
            wideband::mutableData(y), at::get_num_threads()),
        "the sizes are impossible");
    return wideband::handle(y);
  });
}
