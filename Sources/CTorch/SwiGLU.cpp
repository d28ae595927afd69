// The feed-forward sublayer W_down (silu(W_gate x) * W_up x) as one autograd function: it keeps x and the two inner
// maps, and forms their product again in the backward pass.
#include <torch/csrc/autograd/custom_function.h>

#include "Internal.h"
#include "Matrices.hpp"
#include "Parallel.hpp"
#include "Products.hpp"
#include "ckernels.h"

namespace wideband {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct SwiGLU : torch::autograd::Function<SwiGLU> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &input, const at::Tensor &gateWeight, const at::Tensor &upWeight,
      const at::Tensor &downWeight) {
    auto x = input.contiguous(), gateMap = gateWeight.contiguous(), upMap = upWeight.contiguous();
    auto downMap = downWeight.contiguous();
    auto gate = mapped(x, gateMap), up = mapped(x, upMap);
    auto product = at::empty_like(gate);
    TORCH_CHECK(ck_swiglu(gate.numel(), data(gate), data(up), mutableData(product), threadCount()));
    context->save_for_backward({x, gateMap, upMap, downMap, gate, up});
    return mapped(product, downMap);
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    const auto &x = saved[0], &gateMap = saved[1], &upMap = saved[2], &downMap = saved[3];
    const auto &gate = saved[4], &up = saved[5];
    auto upstream = asRows(gradients[0].contiguous());
    auto product = at::empty_like(gate), gateGradient = at::empty_like(gate), upGradient = at::empty_like(up);
    multiply(upstream, downMap, asRows(product));
    TORCH_CHECK(ck_swiglu_backward(
        gate.numel(), data(gate), data(up), data(product), mutableData(product), mutableData(gateGradient),
        mutableData(upGradient), threadCount()));
    auto gateRows = asRows(gateGradient), upRows = asRows(upGradient), rows = asRows(x);
    variable_list results(4);
    if (context->needs_input_grad(0)) {
      results[0] = at::empty_like(x);
      multiply(gateRows, gateMap, asRows(results[0]));
      multiply(upRows, upMap, asRows(results[0]), true);
    }
    if (context->needs_input_grad(1)) multiply(gateRows.t(), rows, results[1] = at::empty_like(gateMap));
    if (context->needs_input_grad(2)) multiply(upRows.t(), rows, results[2] = at::empty_like(upMap));
    if (context->needs_input_grad(3)) multiply(upstream.t(), asRows(product), results[3] = at::empty_like(downMap));
    return results;
  }
};

/// The same of weights where they lie, for which there is no derivative.
at::Tensor frozen(const at::Tensor &x, const wb_matrix &gateMap, const wb_matrix &upMap, const wb_matrix &downMap) {
  auto gate = wideProduct(x, gateMap), up = wideProduct(x, upMap);
  TORCH_CHECK(ck_swiglu(gate.numel(), data(gate), data(up), mutableData(gate), threadCount()));
  return wideProduct(gate, downMap);
}

bool isRecordedAny(const at::Tensor &x, const wb_matrix &gate, const wb_matrix &up, const wb_matrix &down) {
  return isRecorded(x) || isRecorded(gate.values->value) || isRecorded(up.values->value) ||
         isRecorded(down.values->value);
}

bool areFloats(const wb_matrix &gate, const wb_matrix &up, const wb_matrix &down) {
  return isFusible(gate.values->value) && isFusible(up.values->value) && isFusible(down.values->value);
}

}  // namespace
}  // namespace wideband

bool wb_swiglu_is_supported(const wb_tensor *x, wb_matrix gate, wb_matrix up, wb_matrix down) {
  using namespace wideband;
  if (!isFusible(x->value)) return false;
  return areFloats(gate, up, down) || (isReadable(gate) && isReadable(up) && isReadable(down) &&
                                       !isRecordedAny(x->value, gate, up, down));
}

wb_tensor *wb_swiglu(const wb_tensor *x, wb_matrix gate, wb_matrix up, wb_matrix down) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    const auto &input = x->value;
    TORCH_CHECK(
        input.dim() > 0 && gate.inputs == input.size(-1) && up.inputs == gate.inputs &&
            up.values->value.size(0) == gate.values->value.size(0) && down.inputs == gate.values->value.size(0),
        "the weights [F, in], [F, in] and [out, F] do not fit the last axis");
    if (!wideband::areFloats(gate, up, down)) return wideband::handle(wideband::frozen(input, gate, up, down));
    return wideband::handle(
        wideband::SwiGLU::apply(input, gate.values->value, up.values->value, down.values->value));
  });
}

bool wb_is_fusible(const wb_tensor *tensor) { return wideband::isFusible(tensor->value); }
