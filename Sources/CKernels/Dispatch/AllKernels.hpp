// All kernels of a vector code.
//
// A source file names the code (CK_CODE), its floats a register (CK_LANES) and its registers (CK_REGISTERS), includes
// SIMD/Prelude.hpp, and then includes this header between the attributes that enable the code's instructions.
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
#include "Layers/ExpertBatch.hpp"
#include "Layers/GroupNorm.hpp"
#include "Layers/QKNormRoPE.hpp"
#include "Layers/RMSNorm.hpp"
#include "Layers/SwiGLU.hpp"
#include "Quantized/Dequantize.hpp"
#include "Quantized/GEMM.hpp"
#include "Quantized/Quantize.hpp"
#include "Quantized/SkinnyGEMM.hpp"
