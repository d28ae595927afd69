// All kernels of a vector code.
//
// A source file defines CK_CODE, the name of the vector code; CK_LANES, the floats in a register; and CK_REGISTERS, the
// number of registers. It includes SIMD/Prelude.hpp, and then this header between the attributes that enable the
// instructions.
#pragma once

#include "Decode/Argmax.hpp"
#include "Decode/AttentionSublayer.hpp"
#include "Decode/FeedForwardSublayer.hpp"
#include "Decode/Sample.hpp"
#include "HyperConnection/BackwardRun.hpp"
#include "HyperConnection/Forward.hpp"
#include "Layers/AdamW.hpp"
#include "Layers/CausalAttention.hpp"
#include "Layers/CrossEntropy.hpp"
#include "Layers/ExpertDispatch.hpp"
#include "Layers/GroupNorm.hpp"
#include "Layers/QKNormRoPE.hpp"
#include "Layers/RMSNorm.hpp"
#include "Layers/SwiGLU.hpp"
#include "Quantized/Dequantize.hpp"
#include "Quantized/GEMM.hpp"
#include "Quantized/Quantize.hpp"
#include "Quantized/SkinnyGEMM.hpp"
