// Functions of the kernels' C++ for tests that are not in the C interface.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Whether `ContentionDetector` finds contention after these samples.
bool ki_are_cores_contended_after(const double *samples, int count);

/// Runs `jobs` jobs of 37 pieces in shares, and as many of 37 rows of a range, on up to `threads` workers. Every `slow` th
/// piece takes `microseconds` on threads other than the caller's, and as many pass now and then between jobs. Returns how
/// many pieces and rows were not done exactly once by the time that their job was over.
int64_t ki_wrongly_done(int threads, int jobs, int slow, int microseconds);

/// The same where two threads of the process want the workers at the same time, each for `jobs` jobs.
int64_t ki_wrongly_done_by_two(int threads, int jobs);

/// The same while `spinners` other threads keep the cores busy, so that workers come late, after jobs have come and gone.
int64_t ki_wrongly_done_among(int spinners, int threads, int jobs);

#ifdef __cplusplus
}
#endif
