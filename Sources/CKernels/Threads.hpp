// Work sharing on the OpenMP pool the process already has, and the treatment of denormal numbers.
#pragma once

#include <cstdint>

namespace ckernels {

/// Calls `body(context, part)` for every part in 0..<parts, each part on one thread, and waits for all.
/// The pool is the one of the OpenMP library already in the process (libtorch's operators use it): a second pool would
/// fight it for the cores. Without such a library the parts run in order on the calling thread.
void forEachPart(int parts, void (*body)(void *context, int part), void *context);

/// The same with more parts than `threads`, of which each thread takes the next when it is done with one: for parts whose
/// results do not depend on who computes them, on cores that are not all as fast at the moment.
void forEachPartAsItComes(int parts, int threads, void (*body)(void *context, int part), void *context);

/// How many parts to make of a job of `pieces` indivisible pieces and `work` multiplications: at most `threads`, and
/// fewer where a part would be over before a thread has woken for it.
int usefulParts(std::int64_t pieces, std::int64_t work, int threads);

}  // namespace ckernels
