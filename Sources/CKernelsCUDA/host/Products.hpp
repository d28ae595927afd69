// Products of a few rows, as the sublayers of decoding use them.
#pragma once

#include <initializer_list>

#include "Guard.hpp"
#include "Modules.hpp"

namespace ckernels::cuda {

constexpr int64_t maximumRows = ck_maximum_skinny_rows;

/// The kernels for products of so many rows with such a weight. Throws a `Failure` where there are none.
const ProductModule &productsFor(const ck_matrix &weight, int64_t rows, const ck_cuda_target &target);

/// The shape of the smallest program for so many rows. Throws a `Failure` where there is none.
ProductShape productShape(const ck_matrix &weight, int64_t rows, ck_cuda_element element);

/// Launches a kernel for `rows` rows and weights of one format and width. `arguments` has all but weights, sizes and slice.
void launch(
    Kernel ProductModule::*kernel, std::initializer_list<const ck_matrix *> weights, int64_t rows,
    ProductArguments arguments, const ck_cuda_target &target);

/// y = weight x, plus the residual unless that is null.
void multiply(
    const ck_matrix &weight, int64_t rows, const void *x, const void *residual, void *y, const ck_cuda_target &target);

}  // namespace ckernels::cuda
