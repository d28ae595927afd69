// A weight that is not trained, in a function with a derivative.
#pragma once

#include "Core/AutogradFunction.hpp"
#include "Layers/Quantized.hpp"

namespace wideband {

/// A matrix that is not trained, as saved for a backward pass: read in place, forward and backward.
struct FrozenWeight {
  wb_tensor values, scales;
  int64_t inputs;

  explicit FrozenWeight(const wb_matrix &matrix)
      : values{matrix.values->value}, scales{matrix.scales ? matrix.scales->value : at::Tensor()},
        inputs(matrix.inputs) {}

  explicit FrozenWeight(AutogradContext *context)
      : values{context->saved_data["values"].toTensor()}, scales{context->saved_data["scales"].toTensor()},
        inputs(context->saved_data["inputs"].toInt()) {}

  void save(AutogradContext *context) const {
    context->saved_data["values"] = values.value;
    context->saved_data["scales"] = scales.value;
    context->saved_data["inputs"] = inputs;
  }

  wb_matrix matrix() const { return {&values, scales.value.defined() ? &scales : nullptr, inputs}; }

  /// Whether it is float32, or in a format that no kernel reads: then it is converted as a whole.
  bool isConverted() const { return values.value.scalar_type() == at::kFloat || !isReadable(matrix()); }
  at::Tensor floats() const { return dequantized(matrix()).to(at::kFloat).contiguous(); }

  /// Contiguous x [..., in] times the weight [out, in] transposed.
  at::Tensor product(const at::Tensor &x) const { return isConverted() ? mapped(x, floats()) : gemm(x, matrix()); }

  /// The gradient of x from that of the product, contiguous [..., out].
  at::Tensor productBack(const at::Tensor &upstream) const {
    if (!isConverted()) return gemmBackward(upstream, matrix());
    auto result = resultFor(upstream, inputs);
    multiply(asRows(upstream), floats(), asRows(result));
    return result;
  }
};

}  // namespace wideband
