// The C interface of libtorch that Swift uses: tensors as opaque handles, every ATen operator through one call, and functions
// of our own on the fused kernels. No C++ type and no exception crosses this line. One header for each topic; this one
// includes all of them.
//
// A function that fails returns NULL, -1 or false, and `wb_last_error()` says why, on the calling thread.
// A returned handle is owned by the caller and is released with the matching `_release`.
#pragma once

#include "ctorch_connection.h"
#include "ctorch_cuda.h"
#include "ctorch_decoding.h"
#include "ctorch_distributed.h"
#include "ctorch_layers.h"
#include "ctorch_runtime.h"
#include "ctorch_tensor.h"
#include "ctorch_training.h"
