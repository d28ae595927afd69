// Fused CPU kernels on raw memory behind a plain C interface: Generalized Hyper-Connections, the layers of a transformer
// forward and backward, the optimizer, and decoding with quantized weights. One header for each topic; this one includes
// all of them.
//
// A kernel `ck_x` takes its arguments as one struct `ck_x_args` and the maximum number of threads. Fields left out of a
// designated initializer are zero or null, which is allowed where a field's comment says so.
//
// Shape letters: N tokens, m fraction rate, n slots (n >= m >= 1), C slot width, R rows. Every array is contiguous, row
// major, and needs no more alignment than its elements. An output may overlap another argument only where it is said.
//
// Kernels run on the thread pool of the process's OpenMP library where one is loaded; without one they run on the calling
// thread. Work is split into fixed shares and gradients of parameters are summed in the order of the shares, so a result
// depends on `threads` but never on timing. Denormal numbers count as zero while a kernel runs.
//
// A kernel returns false, having written nothing, if a size is impossible (m < 1, n < m, C < 1, or a negative count) or
// its scratch memory cannot be allocated. Scratch memory is kept by the calling thread and reused.
#pragma once

#include "ckernels_connection.h"
#include "ckernels_decoding.h"
#include "ckernels_layers.h"
#include "ckernels_optimizer.h"
#include "ckernels_runtime.h"
