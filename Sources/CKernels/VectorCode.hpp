// All kernels, compiled for one vector code. A source file names the code (CK_CODE), its floats a register (CK_LANES),
// its registers (CK_REGISTERS), and includes this between the attributes that switch the instructions on.

#define CK_PANEL_FLOATS 6144

namespace ckernels {
namespace CK_CODE {

#include "Vector.hpp"

#include "Ahead.hpp"

#include "Product.hpp"

#include "Transpose.hpp"

#include "InnerProducts.hpp"

#include "Plan.hpp"

#include "Coefficients.hpp"

#include "Forward.hpp"

#include "Gradients.hpp"

#include "Backward.hpp"

#include "BackwardRun.hpp"

#include "RMSNorm.hpp"

#include "GroupNorm.hpp"

#include "SwiGLU.hpp"

#include "RotaryNorm.hpp"

#include "CrossEntropy.hpp"

#include "Largest.hpp"

#include "Draw.hpp"

#include "WeightForms.hpp"

#include "WholeActivations.hpp"

#if CK_LANES == 8
#include "PairProduct.hpp"
#else
#include "ByteProduct.hpp"
#endif

#include "NarrowProduct.hpp"

#include "Expand.hpp"

#include "WeightPanel.hpp"

#include "WideProduct.hpp"

#include "Quantize.hpp"

#include "StepAttention.hpp"

#include "AttentionStep.hpp"

#include "FeedForwardStep.hpp"

#include "AdamW.hpp"

#include "Rows.hpp"

#include "Attention.hpp"

}  // namespace CK_CODE
}  // namespace ckernels
