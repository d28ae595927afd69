// The optimizer. Conventions: ctorch.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctorch_tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A weight, its gradient, the running means of it and of its square, and the settings. Without a gradient of its own the
/// parameter has the weight's.
typedef struct wb_parameter {
  const wb_tensor *weight;
  const wb_tensor *gradient;
  const wb_tensor *first_moment;
  const wb_tensor *second_moment;
  double learning_rate;
  double weight_decay;
} wb_parameter;

/// Whether the kernel takes the parameters: all float32, contiguous and in the processor's memory.
bool wb_adamw_is_supported(const wb_parameter *parameters, int count);

/// Step `step`, from 1, of AdamW on supported parameters, with gradients divided by `divisor`; a missing gradient is zero.
bool wb_adamw(
    const wb_parameter *parameters, int count, double beta1, double beta2, double epsilon, double divisor, int64_t step);

/// The Euclidean norm of all gradients of supported parameters together.
bool wb_gradient_norm(const wb_parameter *parameters, int count, double *norm);

/// The sum of squares of each `piece` consecutive floats of a contiguous array in the processor's memory, in float64. It
/// depends on those floats alone.
bool wb_square_sums(const wb_tensor *array, int64_t piece, double *sums);

#ifdef __cplusplus
}
#endif
