// What functions on tensors that have a derivative of their own are written with.
#pragma once

#include <torch/csrc/autograd/custom_function.h>

#include "ckernels.h"
#include "Core/Internal.hpp"
#include "Core/Matrices.hpp"
#include "Core/Parallel.hpp"
#include "Core/Products.hpp"

namespace wideband {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

}  // namespace wideband
