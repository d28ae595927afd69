// A mixture of experts after its router as one autograd function: each expert's tokens are a block of consecutive rows of
// one buffer, and every product works on a whole block.
#include <ATen/ops/full.h>

#include <algorithm>
#include <vector>

#include "Core/AutogradFunction.hpp"
#include "Layers/SwiGLU.hpp"

namespace wideband {
namespace {

/// The rows of each expert in the buffer.
///
/// Blocks are padded with rows of zeros to a multiple of rows: oneDNN generates a kernel for each new number of rows, which
/// takes several times as long as a block's product, and caches it.
struct Layout {
  std::vector<int64_t> starts;  ///< [E + 1]
  at::Tensor routedTokens;      ///< [rows], the routed token of each row, -1 for a row of zeros
  at::Tensor rowIndices;        ///< [N k], the row of each routed token

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
    routedTokens = at::full({starts.back()}, -1, at::kLong);
    rowIndices = at::empty({count}, at::kLong);
    auto *routedToken = static_cast<int64_t *>(routedTokens.mutable_data_ptr());
    auto *rowIndex = static_cast<int64_t *>(rowIndices.mutable_data_ptr());
    for (int64_t i = 0; i < count; i++) {
      rowIndex[i] = next[size_t(expert[i])]++;
      routedToken[rowIndex[i]] = i;
    }
  }

  Layout(const std::vector<int64_t> &starts, const at::Tensor &routedTokens, const at::Tensor &rowIndices)
      : starts(starts), routedTokens(routedTokens), rowIndices(rowIndices) {}

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

  at::Tensor dispatched(const at::Tensor &x, const float *scales, int64_t perToken) const {
    auto buffer = at::empty({rows(), x.size(1)}, x.options());
    const ck_expert_dispatch_args args{
        .rows = rows(),
        .per_token = perToken,
        .width = x.size(1),
        .routed_tokens = static_cast<const int64_t *>(routedTokens.const_data_ptr()),
        .scales = scales,
        .x = data(x),
        .expert_rows = mutableData(buffer)};
    TORCH_CHECK(ck_expert_dispatch(&args, threadCount()));
    return buffer;
  }

  at::Tensor combined(const at::Tensor &buffer, const float *scales, int64_t perToken) const {
    auto sums = at::empty({rowIndices.numel() / perToken, buffer.size(1)}, buffer.options());
    const ck_expert_combine_args args{
        .tokens = sums.size(0),
        .per_token = perToken,
        .width = sums.size(1),
        .row_indices = static_cast<const int64_t *>(rowIndices.const_data_ptr()),
        .scales = scales,
        .expert_rows = data(buffer),
        .sums = mutableData(sums)};
    TORCH_CHECK(ck_expert_combine(&args, threadCount()));
    return sums;
  }
};

/// result [n, m] = x [n, k] matrix^T, read once where there are few rows.
void map(const at::Tensor &x, const at::Tensor &matrix, const at::Tensor &result) {
  if (x.size(0) > ck_maximum_skinny_rows) return multiply(x, matrix.t(), result);
  const wb_tensor weight{matrix};
  skinnyGEMM(x, {&weight, nullptr, matrix.size(1)}, result);
}

/// Expert e's weights are number 3e, 3e + 1 and 3e + 2 of the list: gate, up and down.
struct Experts : torch::autograd::Function<Experts> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &input, const at::Tensor &weights, const at::Tensor &chosen,
      at::TensorList matrices) {
    const Layout layout(chosen, int64_t(matrices.size()) / 3);
    const int64_t perToken = weights.size(1);
    const auto rows = layout.dispatched(input, nullptr, perToken);
    auto gate = at::empty({layout.rows(), matrices[0].size(0)}, input.options());
    auto up = at::empty_like(gate), product = at::empty_like(gate);
    auto outputs = at::empty_like(rows);
    layout.forEach([&](size_t e) {
      map(layout.block(rows, e), matrices[3 * e], layout.block(gate, e));
      map(layout.block(rows, e), matrices[3 * e + 1], layout.block(up, e));
    });
    swiglu(gate, up, product);
    layout.forEach([&](size_t e) { map(layout.block(product, e), matrices[3 * e + 2], layout.block(outputs, e)); });
    variable_list saved{input, weights, gate, up, outputs, layout.routedTokens, layout.rowIndices};
    saved.insert(saved.end(), matrices.begin(), matrices.end());
    context->save_for_backward(saved);
    context->saved_data["starts"] = layout.starts;
    return layout.combined(outputs, data(weights), perToken);
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &input = saved[0], &weights = saved[1], &gate = saved[2], &up = saved[3], &outputs = saved[4];
    const Layout layout(context->saved_data["starts"].toIntVector(), saved[5], saved[6]);
    const auto *matrices = saved.data() + 7;
    const int64_t perToken = weights.size(1);
    const auto upstream = gradients[0].contiguous();
    variable_list results(saved.size() - 4);
    if (context->needs_input_grad(1)) {
      results[1] = at::empty_like(weights);
      const ck_expert_row_products_args args{
          .tokens = weights.size(0),
          .per_token = perToken,
          .width = input.size(1),
          .row_indices = static_cast<const int64_t *>(layout.rowIndices.const_data_ptr()),
          .x = data(upstream),
          .expert_rows = data(outputs),
          .products = mutableData(results[1])};
      TORCH_CHECK(ck_expert_row_products(&args, threadCount()));
    }
    const auto rows = layout.dispatched(input, nullptr, perToken);
    auto outputGradients = layout.dispatched(upstream, data(weights), perToken);
    auto product = at::empty_like(gate), gateGradients = at::empty_like(gate), upGradients = at::empty_like(up);
    layout.forEach(
        [&](size_t e) { multiply(layout.block(outputGradients, e), matrices[3 * e + 2], layout.block(product, e)); });
    swigluBackward(gate, up, product, gateGradients, upGradients);
    layout.forEach([&](size_t e) {
      const auto x = layout.block(rows, e), outputGradient = layout.block(outputGradients, e);
      const at::Tensor left[] = {layout.block(gateGradients, e), layout.block(upGradients, e), outputGradient};
      const at::Tensor right[] = {x, x, layout.block(product, e)};
      for (size_t i = 0; i < 3; i++)
        if (context->needs_input_grad(3 + 3 * e + i)) results[3 + 3 * e + i] = multiplied(left[i].t(), right[i]);
      if (!context->needs_input_grad(0)) return;
      // The memory of an output's gradient becomes that of x.
      multiply(left[0], matrices[3 * e], outputGradient);
      multiply(left[1], matrices[3 * e + 1], outputGradient, true);
    });
    if (context->needs_input_grad(0)) results[0] = layout.combined(outputGradients, nullptr, perToken);
    return results;
  }
};

}  // namespace
}  // namespace wideband

using namespace wideband;

wb_tensor *wb_mixture_of_experts(
    const wb_tensor *x, const wb_tensor *weights, const wb_tensor *chosen, const wb_tensor *const *matrices,
    int experts) {
  return guardedTensor([&] {
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
        experts > 0 && input.dim() == 2 && weights->value.dim() == 2 && weights->value.size(0) == input.size(0) &&
            chosen->value.sizes() == weights->value.sizes() && chosen->value.scalar_type() == at::kLong,
        "the rows [N, D], the weights [N, k] and the chosen experts [N, k] do not fit each other");
    return Experts::apply(
        input.contiguous(), weights->value.contiguous(), chosen->value.contiguous(), at::TensorList(all));
  });
}
