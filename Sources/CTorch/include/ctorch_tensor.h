// Tensors, operators by name, autograd and random generators. Conventions: ctorch.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wb_tensor wb_tensor;
typedef struct wb_operator wb_operator;
typedef struct wb_generator wb_generator;

/// The message of the last failure on this thread; valid until the next failure.
const char *wb_last_error(void);

// Operators.

typedef enum wb_argument_kind {
  WB_NONE = 0,
  WB_TENSOR = 1,
  WB_INT = 2,
  WB_DOUBLE = 3,
  WB_BOOL = 4,
  WB_INTS = 5,
  WB_TENSORS = 6,
  WB_STRING = 7,
  WB_DEVICE = 8,
  WB_GENERATOR = 9,
} wb_argument_kind;

/// One argument of an operator. `integer` holds an int, a bool, a dtype, or a device (type in the low, index in the
/// high 32 bits); `pointer` a handle, a C string, or the first of `count` integers or handles.
typedef struct wb_argument {
  wb_argument_kind kind;
  int64_t count;
  int64_t integer;
  double real;
  const void *pointer;
} wb_argument;

/// The operator registered with the dispatcher as `name` ("aten::add") and `overload` ("Tensor"); lives forever.
const wb_operator *wb_operator_find(const char *name, const char *overload);

/// Calls an operator. Missing arguments take the defaults of its schema. Writes up to `capacity` result handles, one for each
/// tensor of a returned list, and returns their number, or -1.
int wb_operator_call(const wb_operator *op, const wb_argument *arguments, int count, wb_tensor **results, int capacity);

// Tensors.

void wb_tensor_release(wb_tensor *tensor);
/// Another handle of the same tensor.
wb_tensor *wb_tensor_retain(const wb_tensor *tensor);
int wb_tensor_rank(const wb_tensor *tensor);
int64_t wb_tensor_size(const wb_tensor *tensor, int axis);
int64_t wb_tensor_count(const wb_tensor *tensor);
int wb_tensor_dtype(const wb_tensor *tensor);
int64_t wb_tensor_device(const wb_tensor *tensor);
/// The first element of a contiguous tensor in the processor's memory; NULL for any other.
void *wb_tensor_data(const wb_tensor *tensor);
/// A tensor over memory of the caller; `release(context)` runs when nothing refers to it any longer.
wb_tensor *wb_tensor_borrow(
    void *memory, const int64_t *sizes, int rank, int dtype, void (*release)(void *), void *context);

// Autograd.

/// Returns whether gradients were enabled before.
bool wb_set_gradients_enabled(bool enabled);
bool wb_tensor_require_gradient(wb_tensor *tensor, bool required);
bool wb_tensor_requires_gradient(const wb_tensor *tensor);
/// The accumulated gradient, or NULL without an error where there is none yet.
wb_tensor *wb_tensor_gradient(const wb_tensor *tensor);
void wb_tensor_clear_gradient(wb_tensor *tensor);
/// `upstream` is the gradient of the tensor; NULL for 1, that of a scalar.
bool wb_tensor_backward(const wb_tensor *tensor, const wb_tensor *upstream);
/// Calls `function` in backward passes each time this leaf tensor's gradient has been added to, on the thread of the
/// backward pass; `release` when it is no longer called. NULL removes the function.
bool wb_tensor_set_gradient_hook(
    wb_tensor *tensor, void (*function)(void *context), void *context, void (*release)(void *context));

/// A part of the forward pass: writes at most `capacity` results, to be owned by the caller, and returns their number; -1 if
/// it failed. The input remains the caller's.
typedef int (*wb_checkpointed_function)(void *context, const wb_tensor *input, wb_tensor **results, int capacity);

/// The results of `part` for `input`, with no intermediate tensor saved: the backward pass runs the part again.
/// `release(context)` runs when that is no longer possible. Returns the number of results, at most 16, or -1.
int wb_activation_checkpoint(
    const wb_tensor *input, wb_checkpointed_function part, void *context, void (*release)(void *), wb_tensor **results,
    int capacity);

// Random numbers.

wb_generator *wb_generator_create(int64_t device, uint64_t seed);
void wb_generator_release(wb_generator *generator);

#ifdef __cplusplus
}
#endif
