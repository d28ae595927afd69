// The kernels for any processor: registers of four floats, which every 64-bit one has.
#include "Dispatch/AllKernels.hpp"

namespace ckernels {

const VectorCode portableCode{"portable", false, CK_TABLE};

}  // namespace ckernels
