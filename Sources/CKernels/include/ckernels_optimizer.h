// AdamW and the norm of the gradients. Conventions: ckernels.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// One parameter of a model. Every array is [count].
typedef struct ck_parameter {
  int64_t count;
  float *weight;
  const float *gradient;  ///< null for zero
  float *first_moment;    ///< running mean of the gradient
  float *second_moment;   ///< running mean of the gradient's square
  double learning_rate;
  double weight_decay;
} ck_parameter;

/// One step of AdamW (arXiv 1711.05101, algorithm 2) on all parameters in one pass, split among the threads as one long
/// array. An element's result does not depend on the number of threads.
typedef struct ck_adamw_args {
  const ck_parameter *parameters;
  int64_t count;          ///< of parameters
  double beta1, beta2;
  double epsilon;
  double gradient_scale;  ///< every gradient is multiplied by it first
  int64_t step;           ///< the number of this step, from 1
} ck_adamw_args;

bool ck_adamw(const ck_adamw_args *args, int threads);

/// The square root of the sum of the squares of all gradients, in double; infinite or NaN if a gradient is.
typedef struct ck_gradient_norm_args {
  const ck_parameter *parameters;  ///< of which only `count` and `gradient` are used
  int64_t count;                   ///< of parameters
  double *norm;
} ck_gradient_norm_args;

bool ck_gradient_norm(const ck_gradient_norm_args *args, int threads);

#ifdef __cplusplus
}
#endif
