// Attention over caches of every format, with heads that fill a warp's loads and heads that do not.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "Machine.hpp"
#include "Program.hpp"

#define ckernels attention0
#define WB_HEAD 128
#define WB_FORMAT 1
#define WB_ELEMENT_BYTES 2
#define WB_QUERIES 4
#include "Attention.ipp"

#define ckernels attention1
#define WB_HEAD 128
#define WB_FORMAT 1
#define WB_ELEMENT_BYTES 2
#define WB_QUERIES 8
#include "Attention.ipp"

#define ckernels attention2
#define WB_HEAD 64
#define WB_FORMAT 0
#define WB_ELEMENT_BYTES 4
#define WB_QUERIES 8
#include "Attention.ipp"

#define ckernels attention3
#define WB_HEAD 16
#define WB_FORMAT 2
#define WB_ELEMENT_BYTES 4
#define WB_QUERIES 4
#include "Attention.ipp"

#define ckernels attention4
#define WB_HEAD 6
#define WB_FORMAT 0
#define WB_ELEMENT_BYTES 4
#define WB_QUERIES 4
#include "Attention.ipp"

#define ckernels attention5
#define WB_HEAD 40
#define WB_FORMAT 1
#define WB_ELEMENT_BYTES 2
#define WB_QUERIES 8
#include "Attention.ipp"

#define ckernels attention6
#define WB_HEAD 128
#define WB_FORMAT 2
#define WB_ELEMENT_BYTES 2
#define WB_QUERIES 8
#include "Attention.ipp"

#define ckernels attention7
#define WB_HEAD 10
#define WB_FORMAT 2
#define WB_ELEMENT_BYTES 2
#define WB_QUERIES 4
#include "Attention.ipp"

namespace {

const emulation::AttentionProgram *const programs[] = {
    &attention0::cuda::program, &attention1::cuda::program, &attention2::cuda::program, &attention3::cuda::program,
    &attention4::cuda::program, &attention5::cuda::program, &attention6::cuda::program, &attention7::cuda::program,
};

}  // namespace

int cuda_emulation_attention_count(void) { return int(sizeof(programs) / sizeof(programs[0])); }

cuda_emulation_attention_kind cuda_emulation_attention_describe(int program) {
  const emulation::AttentionProgram &own = *programs[program];
  return {own.head, ck_weight_format(own.format), own.elementBytes, own.queries};
}

bool cuda_emulation_attention(
    int program, const ck_attention_layer *layer, const ck_kv_view *sequences, int count, const int64_t *starts,
    const float *projected, const float *cosine, const float *sine, int splits, void *attentionOutput) {
  return programs[program]->run(layer, sequences, count, starts, projected, cosine, sine, splits, attentionOutput);
}
