// The threads of what runs on the processor.
#pragma once

namespace wideband {

/// Threads for kernels: those of the calling thread's worker team, or libtorch's without a team.
int threadCount();

}  // namespace wideband
