// Hyper-connections through the fused kernels. Conventions: ctorch.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctorch_tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The write of a connection, pending from its read until the sublayer's output is known.
typedef struct wb_pending_write wb_pending_write;

/// Whether there are kernels for a state and the weights of a connection, as `wb_connection_read` takes them: float32 in
/// the processor's memory, or float32 or bfloat16 on a CUDA GPU with float32 weights; slots of more than one channel.
/// Where a GPU could have kernels but has none, the reason is printed to standard error, once.
bool wb_connection_is_supported(const wb_tensor *const weights[7], const wb_tensor *state);

/// The sublayer's input [..., D], read from a state [..., n, C]. `weights` are the static tables of read and carry [n, m+n]
/// and of write [n, m], the dynamic maps of both, their scales, and the gain; the last five NULL for a static connection.
/// `*pending` is the connection's write, to be released by the caller.
wb_tensor *wb_connection_read(
    const wb_tensor *const weights[7], double epsilon, const wb_tensor *state, wb_pending_write **pending);

/// The state [..., n, C] after the write of the sublayer's `output` [..., D]. A pending write can be done once.
wb_tensor *wb_connection_write(wb_pending_write *pending, const wb_tensor *output);

/// The write of `output`, and in the same pass the read of the connection with `weights` from the state after it: [..., D].
/// `*next` is that connection's pending write.
wb_tensor *wb_connection_write_read(
    wb_pending_write *pending, const wb_tensor *output, const wb_tensor *const weights[7], double epsilon,
    wb_pending_write **next);

void wb_pending_write_release(wb_pending_write *pending);

#ifdef __cplusplus
}
#endif
