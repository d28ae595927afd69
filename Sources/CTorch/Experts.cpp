// A mixture of experts behind its router as one autograd function: tokens are laid out in a block of rows for each
// expert, every product works on a whole block, and all blocks of a kind lie in one buffer.
#include <ATen/ops/full.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "Internal.h"
#include "Matrices.hpp"
#include "Parallel.hpp"
#include "Products.hpp"
#include "ckernels.h"

namespace wideband {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Which rows belong to which expert.
///
/// Blocks are filled up with rows of zeros to a multiple of something. oneDNN makes a kernel for each number of rows it
/// meets, which takes several times as long as a block's product; what was met before, it keeps.
struct Layout {
  std::vector<int64_t> starts;  ///< [E + 1]
  at::Tensor sendings;          ///< the sending that each row holds, -1 in a row of zeros
  at::Tensor places;            ///< the row that each sending is held in

  Layout(const at::Tensor &chosen, int64_t experts) {
    const int64_t count = chosen.numel();
    const auto *expert = static_cast<const int64_t *>(chosen.const_data_ptr());
    std::vector<int64_t> next(static_cast<size_t>(experts));
    for (int64_t i = 0; i < count; i++) {
      TORCH_CHECK(expert[i] >= 0 && expert[i] < experts, "there is no expert ", expert[i], " among ", experts);
      next[size_t(expert[i])]++;
    }
    int64_t multiple = 1;
    while (multiple < 64 && multiple * 16 * experts <= count) multiple *= 2;
    starts.push_back(0);
    for (int64_t &load : next) {
      const int64_t start = starts.back();
      starts.push_back(start + (load + multiple - 1) / multiple * multiple);
      load = start;
    }
    sendings = at::full({starts.back()}, -1, at::kLong);
    places = at::empty({count}, at::kLong);
    auto *sending = static_cast<int64_t *>(sendings.mutable_data_ptr());
    auto *place = static_cast<int64_t *>(places.mutable_data_ptr());
    for (int64_t i = 0; i < count; i++) {
      place[i] = next[size_t(expert[i])]++;
      sending[place[i]] = i;
    }
  }

  Layout(const std::vector<int64_t> &starts, const at::Tensor &sendings, const at::Tensor &places)
      : starts(starts), sendings(sendings), places(places) {}

  int64_t rows() const { return starts.back(); }

  /// The block of an expert in a buffer of all.
  at::Tensor block(const at::Tensor &buffer, size_t expert) const {
    return buffer.narrow(0, starts[expert], starts[expert + 1] - starts[expert]);
  }

  /// Calls `body` with each expert that has rows.
  template <typename Body>
  void forEach(const Body &body) const {
    for (size_t expert = 0; expert + 1 < starts.size(); expert++)
      if (starts[expert] < starts[expert + 1]) body(expert);
  }

  at::Tensor spread(const at::Tensor &x, const float *scales, int64_t perToken) const {
    auto out = at::empty({rows(), x.size(1)}, x.options());
    TORCH_CHECK(ck_spread_rows(
        rows(), perToken, x.size(1), static_cast<const int64_t *>(sendings.const_data_ptr()), scales, data(x),
        mutableData(out), threadCount()));
    return out;
  }

  at::Tensor gathered(const at::Tensor &buffer, const float *scales, int64_t perToken) const {
    auto sums = at::empty({places.numel() / perToken, buffer.size(1)}, buffer.options());
    TORCH_CHECK(ck_gather_rows(
        sums.size(0), perToken, sums.size(1), static_cast<const int64_t *>(places.const_data_ptr()), scales,
        data(buffer), mutableData(sums), threadCount()));
    return sums;
  }
};

/// result [n, m] = x [n, k] matrix^T, read once where there are few rows.
void map(const at::Tensor &x, const at::Tensor &matrix, const at::Tensor &result) {
  if (x.size(0) > mostNarrowRows) return multiply(x, matrix.t(), result);
  const wb_tensor weight{matrix};
  narrowProduct(x, {&weight, nullptr, matrix.size(1)}, result);
}

/// Expert e's weights are number 3e, 3e + 1 and 3e + 2 of the list: gate, up and down.
struct Experts : torch::autograd::Function<Experts> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &input, const at::Tensor &shares, const at::Tensor &chosen,
      at::TensorList matrices) {
    const Layout layout(chosen, int64_t(matrices.size()) / 3);
    const int64_t perToken = shares.size(1);
    const auto rows = layout.spread(input, nullptr, perToken);
    auto gate = at::empty({layout.rows(), matrices[0].size(0)}, input.options());
    auto up = at::empty_like(gate), product = at::empty_like(gate);
    auto outputs = at::empty_like(rows);
    layout.forEach([&](size_t e) {
      map(layout.block(rows, e), matrices[3 * e], layout.block(gate, e));
      map(layout.block(rows, e), matrices[3 * e + 1], layout.block(up, e));
    });
    TORCH_CHECK(ck_swiglu(gate.numel(), data(gate), data(up), mutableData(product), threadCount()));
    layout.forEach([&](size_t e) { map(layout.block(product, e), matrices[3 * e + 2], layout.block(outputs, e)); });
    variable_list saved{input, shares, gate, up, outputs, layout.sendings, layout.places};
    saved.insert(saved.end(), matrices.begin(), matrices.end());
    context->save_for_backward(saved);
    context->saved_data["starts"] = layout.starts;
    return layout.gathered(outputs, data(shares), perToken);
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &input = saved[0], &shares = saved[1], &gate = saved[2], &up = saved[3], &outputs = saved[4];
    const Layout layout(context->saved_data["starts"].toIntVector(), saved[5], saved[6]);
    const auto *matrices = saved.data() + 7;
    const int64_t perToken = shares.size(1), threads = threadCount();
    const auto upstream = gradients[0].contiguous();
    variable_list results(saved.size() - 4);
    if (context->needs_input_grad(1)) {
      results[1] = at::empty_like(shares);
      TORCH_CHECK(ck_row_products(
          shares.size(0), perToken, input.size(1), static_cast<const int64_t *>(layout.places.const_data_ptr()),
          data(upstream), data(outputs), mutableData(results[1]), int(threads)));
    }
    const auto rows = layout.spread(input, nullptr, perToken);
    auto slopes = layout.spread(upstream, data(shares), perToken);
    auto product = at::empty_like(gate), gateSlopes = at::empty_like(gate), upSlopes = at::empty_like(up);
    layout.forEach([&](size_t e) { multiply(layout.block(slopes, e), matrices[3 * e + 2], layout.block(product, e)); });
    TORCH_CHECK(ck_swiglu_backward(
        gate.numel(), data(gate), data(up), data(product), mutableData(product), mutableData(gateSlopes),
        mutableData(upSlopes), int(threads)));
    layout.forEach([&](size_t e) {
      const auto x = layout.block(rows, e), slope = layout.block(slopes, e);
      const at::Tensor left[] = {layout.block(gateSlopes, e), layout.block(upSlopes, e), slope};
      const at::Tensor right[] = {x, x, layout.block(product, e)};
      for (size_t i = 0; i < 3; i++)
        if (context->needs_input_grad(3 + 3 * e + i))
          multiply(left[i].t(), right[i], results[3 + 3 * e + i] = at::empty_like(matrices[3 * e + i]));
      if (!context->needs_input_grad(0)) return;
      // Nobody needs the output's slopes of this block any more: the input's take their place.
      multiply(left[0], matrices[3 * e], slope);
      multiply(left[1], matrices[3 * e + 1], slope, true);
    });
    if (context->needs_input_grad(0)) results[0] = layout.gathered(slopes, nullptr, perToken);
    return results;
  }
};

}  // namespace
}  // namespace wideband

wb_tensor *wb_experts(
    const wb_tensor *x, const wb_tensor *shares, const wb_tensor *chosen, const wb_tensor *const *matrices,
    int experts) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    const auto &input = x->value;
    std::vector<at::Tensor> all;
    all.reserve(size_t(experts) * 3);
    for (int i = 0; i < 3 * experts; i++) all.push_back(matrices[i]->value.contiguous());
    for (size_t i = 0; i < all.size(); i++) {
      const auto &first = all[0].sizes();
      TORCH_CHECK(
          first.size() == 2 && first[1] == input.size(-1) &&
              (i % 3 < 2 ? all[i].sizes() == first : all[i].sizes() == at::IntArrayRef({first[1], first[0]})),
          "the weights [F, D], [F, D] and [D, F] of the experts do not fit the last axis");
    }
    TORCH_CHECK(
        experts > 0 && input.dim() == 2 && shares->value.dim() == 2 && shares->value.size(0) == input.size(0) &&
            chosen->value.sizes() == shares->value.sizes() && chosen->value.scalar_type() == at::kLong,
        "the rows [N, D], the shares [N, k] and the chosen experts [N, k] do not fit each other");
    return wideband::handle(wideband::Experts::apply(
        input.contiguous(), shares->value.contiguous(), chosen->value.contiguous(), at::TensorList(all)));
  });
}
