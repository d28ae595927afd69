// Norms of narrow and wide rows, whole and odd, in float32 and bfloat16.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "Machine.hpp"
#include "Program.hpp"

#define ckernels norm0
#define WB_WIDTH 5
#define WB_ELEMENT_BYTES 4
#include "Norm.ipp"

#define ckernels norm1
#define WB_WIDTH 33
#define WB_ELEMENT_BYTES 4
#include "Norm.ipp"

#define ckernels norm2
#define WB_WIDTH 128
#define WB_ELEMENT_BYTES 4
#include "Norm.ipp"

#define ckernels norm3
#define WB_WIDTH 1000
#define WB_ELEMENT_BYTES 4
#include "Norm.ipp"

#define ckernels norm4
#define WB_WIDTH 7
#define WB_ELEMENT_BYTES 2
#include "Norm.ipp"

#define ckernels norm5
#define WB_WIDTH 40
#define WB_ELEMENT_BYTES 2
#include "Norm.ipp"

#define ckernels norm6
#define WB_WIDTH 128
#define WB_ELEMENT_BYTES 2
#include "Norm.ipp"

#define ckernels norm7
#define WB_WIDTH 1024
#define WB_ELEMENT_BYTES 2
#include "Norm.ipp"

namespace {

const emulation::NormProgram *const programs[] = {
    &norm0::cuda::program, &norm1::cuda::program, &norm2::cuda::program, &norm3::cuda::program,
    &norm4::cuda::program, &norm5::cuda::program, &norm6::cuda::program, &norm7::cuda::program,
};

}  // namespace

int cuda_emulation_norm_count(void) { return int(sizeof(programs) / sizeof(programs[0])); }

int64_t cuda_emulation_norm_width(int program) { return programs[program]->width; }

int cuda_emulation_norm_element_bytes(int program) { return programs[program]->elementBytes; }

void cuda_emulation_norm(
    int program, int64_t rows, const void *x, const float *weight, float epsilon, void *y, float *scale, int blocks) {
  programs[program]->forward(rows, x, weight, epsilon, y, scale, blocks);
}

bool cuda_emulation_norm_backward(
    int program, int64_t rows, const void *x, const float *weight, const float *scale, const void *y_gradient,
    void *x_gradient, float *weight_gradient, int blocks) {
  return programs[program]->backward(rows, x, weight, scale, y_gradient, x_gradient, weight_gradient, blocks);
}
