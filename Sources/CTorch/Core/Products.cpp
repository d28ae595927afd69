// Which library multiplies matrices on this processor.
#include "Core/Products.hpp"

#include <ATen/Context.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <cstdint>
#include <exception>
#include <string>

#include "Core/UnlistedFunctions.hpp"

namespace wideband {
namespace {

/// The library for products of large matrices.
struct Choice {
  OneDNNProduct oneDNN = nullptr;  ///< null for at::mm
  std::string reason;
};

/// oneDNN's product refuses processors without the vector instructions that it needs for bfloat16, even for operands of
/// float32, by an exception before it computes anything. So it is tried once.
Choice choose() {
  if (!at::hasMKLDNN()) return {nullptr, "this libtorch was built without oneDNN"};
  const OneDNNProduct product = findOneDNNProduct();
  if (!product) return {nullptr, "this libtorch does not export at::native::mkldnn_matmul"};
  try {
    c10::NoGradGuard guard;
    const at::Tensor a = at::ones({2, 2}), result = at::zeros({2, 2});
    product(a, a, result, 0, 1);
    if (!result.equal(at::full({2, 2}, 2))) return {nullptr, "its way to oneDNN gives another product"};
  } catch (const c10::Error &error) {
    return {nullptr, error.what_without_backtrace()};
  } catch (const std::exception &error) {
    return {nullptr, error.what()};
  }
  return {product, "in the processor's widest vectors"};
}

const Choice &choice() {
  static const Choice found = choose();
  return found;
}

}  // namespace

void multiply(const at::Tensor &a, const at::Tensor &b, const at::Tensor &result, bool isAdded) {
  constexpr int64_t minimumWork = int64_t(1) << 20;
  c10::NoGradGuard guard;
  at::Tensor out = result;
  if (a.size(0) > 1 && b.size(1) > 1 && a.numel() * b.size(1) >= minimumWork && choice().oneDNN) {
    choice().oneDNN(a, b, out, isAdded ? 1 : 0, 1);
  } else if (isAdded) {
    at::addmm_out(out, out, a, b);
  } else {
    at::mm_out(out, a, b);
  }
}

at::Tensor multiplied(const at::Tensor &a, const at::Tensor &b) {
  auto result = at::empty({a.size(0), b.size(1)}, a.options());
  multiply(a, b, result);
  return result;
}

at::Tensor resultFor(const at::Tensor &x, int64_t outputs) {
  auto shape = x.sizes().vec();
  shape.back() = outputs;
  return at::empty(shape, x.options());
}

at::Tensor mapped(const at::Tensor &x, const at::Tensor &weight) {
  auto y = resultFor(x, weight.size(0));
  multiply(asRows(x), weight.t(), asRows(y));
  return y;
}

}  // namespace wideband

const char *wb_product_library(void) {
  if (wideband::choice().oneDNN) return "oneDNN";
  return at::hasMKL() ? "at::mm by MKL" : "at::mm";
}

const char *wb_product_library_reason(void) { return wideband::choice().reason.c_str(); }
