#include "Decoding/KVViews.hpp"

#include "Core/Matrices.hpp"
#include "Core/Products.hpp"

namespace wideband {

std::vector<ck_kv_view> kvViewsOf(
    const wb_kv_view *sequences, int64_t count, const at::Tensor &x, int64_t headSize, const at::Tensor &cosines,
    const at::Tensor &sines) {
  std::vector<ck_kv_view> views;
  int64_t rows = 0;
  for (int64_t each = 0; each < count; each++) {
    const wb_kv_view &view = sequences[each];
    const auto &keys = view.keys->value, &values = view.values->value;
    TORCH_CHECK(
        keys.dim() == 4 && keys.size(0) == 1 && keys.is_contiguous() && values.is_contiguous() &&
            keys.sizes() == values.sizes() && view.start >= 0 && view.start + view.rows <= keys.size(2),
        "keys and values [1, K, capacity, hd] have no capacity for positions ", view.start, " to ",
        view.start + view.rows);
    views.push_back(
        {formatOf(keys), keys.size(2), view.start, view.rows, keys.mutable_data_ptr(), values.mutable_data_ptr(),
         view.key_scales ? mutableData(view.key_scales->value) : nullptr,
         view.value_scales ? mutableData(view.value_scales->value) : nullptr});
    rows += view.rows;
  }
  TORCH_CHECK(
      rows == rowsOf(x) && cosines.numel() == rows * headSize && sines.numel() == cosines.numel(),
      "the sequences have ", rows, " new positions");
  return views;
}

}  // namespace wideband
