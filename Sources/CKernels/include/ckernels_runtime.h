// The processor: its vector codes, the worker team of a thread, and the speed of its memory.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Gives the calling thread a worker team of `threads` threads, itself included, until `ck_worker_team_end` on the same
/// thread. Kernels start on a team at less cost than on OpenMP's pool, and between kernels the workers prefetch the weights
/// that were read next the last time. For a sequence of kernels of a few rows; OpenMP regions of others on this thread have
/// one thread meanwhile.
///
/// False, and no team to end, where `threads` is less than 2, within a team or an OpenMP region, and while another thread
/// of the process has a team: kernels then run without one.
bool ck_worker_team_begin(int threads);
void ck_worker_team_end(void);

/// The threads that the calling thread's team was begun with; 0 without a team.
int ck_worker_team_threads(void);

/// Bytes a second at which `threads` threads read memory together: the median of a few passes over an array of `bytes`,
/// which should be many times as large as the caches. 0 if the array cannot be allocated.
double ck_read_bandwidth(int64_t bytes, int threads);

/// On how many processors the process may run, at least one.
int ck_processor_count(void);

/// The vector code in use: "avx512vnni", "avx512", "avx2" or "portable". The best that the processor has, unless
/// `ck_use_vector_code` chose another.
const char *ck_vector_code(void);

/// The vector codes that the processor and the build have, by index from 0, the best first; null past the last.
const char *ck_supported_vector_code(int index);

/// Makes every later call use the named vector code, so that tests and benchmarks reach all of them on one processor;
/// false, and no change, if the processor or the build has no such code.
bool ck_use_vector_code(const char *name);

#ifdef __cplusplus
}
#endif
