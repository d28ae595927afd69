// CUDA graphs and asynchronous readbacks. Conventions: ctorch.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctorch_tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wb_cuda_graph wb_cuda_graph;
typedef struct wb_readback wb_readback;

/// Captures the operators that `work(context)` launches on a CUDA device, without running them, as a graph to be launched
/// again on the same memory; NULL where `work` returns false or cannot be captured. The first reason is printed to standard
/// error.
wb_cuda_graph *wb_cuda_graph_capture(int64_t device, bool (*work)(void *), void *context);
/// Launches the graph on the current stream.
bool wb_cuda_graph_launch(wb_cuda_graph *graph);
void wb_cuda_graph_release(wb_cuda_graph *graph);

/// Starts the readback of an int64 tensor, as it is after all work that was queued on its device before.
wb_readback *wb_readback_start(const wb_tensor *tensor);
/// Waits for the elements.
bool wb_readback_wait(wb_readback *readback, int64_t *elements);
void wb_readback_release(wb_readback *readback);

#ifdef __cplusplus
}
#endif
