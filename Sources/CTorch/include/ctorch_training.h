// The optimizer. Conventions: ctorch.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctorch_tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A weight, the running means of its gradient and of the gradient's square, and its settings.
typedef struct wb_parameter {
  const wb_tensor *weight;
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

#ifdef __cplusplus
}
#endif
