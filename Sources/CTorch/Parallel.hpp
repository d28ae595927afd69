// The threads of what runs on the processor.
#pragma once

namespace wideband {

/// Threads for kernels: libtorch's, and within `wb_stand_by` those that stand by, where its own operators have one.
int threadCount();

}  // namespace wideband
