// Devices, threads and memory of the process. Conventions: ctorch.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Makes a device usable: for CUDA this loads libtorch's CUDA library on first use.
bool wb_device_prepare(int64_t device);
/// Waits until the device has completed all its work.
bool wb_device_synchronize(int64_t device);
/// The maximum number of bytes of the device's memory in use so far; 0 for the processor.
int64_t wb_device_peak_bytes(int64_t device);

/// The threads of kernels and operators; within a worker team those of the kernels.
int wb_thread_count(void);
void wb_set_thread_count(int count);
/// On how many processors the process may run, at least one.
int wb_processor_count(void);

/// The kernels' vector code in use.
const char *wb_vector_code(void);
/// The vector codes that the processor has, by index from 0, the best first; null past the last.
const char *wb_supported_vector_code(int index);

/// The library that multiplies large matrices of float32 on the processor, and why, on one line. Both strings live forever.
const char *wb_product_library(void);
const char *wb_product_library_reason(void);

/// Bytes a second at which all threads read an array of `bytes` together; 0 if it cannot be allocated.
double wb_read_bandwidth(int64_t bytes);

/// Process-wide set-up: denormals flushed to zero, freed memory kept for reuse, huge pages advised. To be called before the
/// first operator.
void wb_prepare_process(void);

/// Returns freed memory that is kept for reuse to the system.
void wb_release_freed_memory(void);

#ifdef __cplusplus
}
#endif
