// Small connections of every class: odd sizes and whole registers, float32 and bfloat16, with and without tensor cores,
// dynamic and static, one and two stages, sums in shared memory, in the GPU's memory and in registers.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "Machine.hpp"
#include "Program.hpp"

#define ckernels program0
#define WB_RATE 2
#define WB_SLOTS 3
#define WB_WIDTH 16
#define WB_ELEMENT_BYTES 4
#define WB_DYNAMIC 1
#define WB_FORWARD_STAGES 2
#define WB_BACKWARD_STAGES 2
#define WB_SHARED_SUMS 1
#include "Kernels.ipp"

#define ckernels program1
#define WB_RATE 3
#define WB_SLOTS 7
#define WB_WIDTH 33
#define WB_ELEMENT_BYTES 4
#define WB_DYNAMIC 1
#define WB_FORWARD_STAGES 1
#define WB_BACKWARD_STAGES 1
#define WB_SHARED_SUMS 0
#include "Kernels.ipp"

#define ckernels program2
#define WB_RATE 1
#define WB_SLOTS 1
#define WB_WIDTH 5
#define WB_ELEMENT_BYTES 4
#define WB_DYNAMIC 1
#define WB_FORWARD_STAGES 2
#define WB_BACKWARD_STAGES 1
#define WB_SHARED_SUMS 1
#include "Kernels.ipp"

#define ckernels program3
#define WB_RATE 4
#define WB_SLOTS 8
#define WB_WIDTH 24
#define WB_ELEMENT_BYTES 4
#define WB_DYNAMIC 0
#define WB_FORWARD_STAGES 2
#define WB_BACKWARD_STAGES 2
#define WB_SHARED_SUMS 1
#include "Kernels.ipp"

#define ckernels program4
#define WB_RATE 5
#define WB_SLOTS 17
#define WB_WIDTH 40
#define WB_ELEMENT_BYTES 4
#define WB_DYNAMIC 1
#define WB_FORWARD_STAGES 1
#define WB_BACKWARD_STAGES 2
#define WB_SHARED_SUMS 1
#include "Kernels.ipp"

#define ckernels program5
#define WB_RATE 2
#define WB_SLOTS 3
#define WB_WIDTH 64
#define WB_ELEMENT_BYTES 2
#define WB_DYNAMIC 1
#define WB_FORWARD_STAGES 2
#define WB_BACKWARD_STAGES 2
#define WB_SHARED_SUMS 1
#include "Kernels.ipp"

#define ckernels program6
#define WB_RATE 3
#define WB_SLOTS 7
#define WB_WIDTH 33
#define WB_ELEMENT_BYTES 2
#define WB_DYNAMIC 1
#define WB_FORWARD_STAGES 2
#define WB_BACKWARD_STAGES 1
#define WB_SHARED_SUMS 1
#include "Kernels.ipp"

#define ckernels program7
#define WB_RATE 4
#define WB_SLOTS 8
#define WB_WIDTH 64
#define WB_ELEMENT_BYTES 2
#define WB_DYNAMIC 1
#define WB_FORWARD_STAGES 1
#define WB_BACKWARD_STAGES 1
#define WB_SHARED_SUMS 1
#include "Kernels.ipp"

#define ckernels program8
#define WB_RATE 4
#define WB_SLOTS 16
#define WB_WIDTH 64
#define WB_ELEMENT_BYTES 2
#define WB_DYNAMIC 1
#define WB_FORWARD_STAGES 2
#define WB_BACKWARD_STAGES 2
#define WB_SHARED_SUMS 1
#include "Kernels.ipp"

#define ckernels program9
#define WB_RATE 8
#define WB_SLOTS 32
#define WB_WIDTH 64
#define WB_ELEMENT_BYTES 2
#define WB_DYNAMIC 1
#define WB_FORWARD_STAGES 2
#define WB_BACKWARD_STAGES 1
#define WB_SHARED_SUMS 0
#include "Kernels.ipp"

#define ckernels program10
#define WB_RATE 4
#define WB_SLOTS 32
#define WB_WIDTH 128
#define WB_ELEMENT_BYTES 2
#define WB_DYNAMIC 1
#define WB_FORWARD_STAGES 1
#define WB_BACKWARD_STAGES 2
#define WB_SHARED_SUMS 1
#include "Kernels.ipp"

#define ckernels program11
#define WB_RATE 3
#define WB_SLOTS 48
#define WB_WIDTH 64
#define WB_ELEMENT_BYTES 2
#define WB_DYNAMIC 1
#define WB_FORWARD_STAGES 1
#define WB_BACKWARD_STAGES 1
#define WB_SHARED_SUMS 1
#include "Kernels.ipp"

#define ckernels program12
#define WB_RATE 8
#define WB_SLOTS 64
#define WB_WIDTH 64
#define WB_ELEMENT_BYTES 2
#define WB_DYNAMIC 1
#define WB_FORWARD_STAGES 2
#define WB_BACKWARD_STAGES 1
#define WB_SHARED_SUMS 1
#include "Kernels.ipp"

#define ckernels program13
#define WB_RATE 8
#define WB_SLOTS 64
#define WB_WIDTH 320
#define WB_ELEMENT_BYTES 2
#define WB_DYNAMIC 1
#define WB_FORWARD_STAGES 1
#define WB_BACKWARD_STAGES 1
#define WB_SHARED_SUMS 0
#include "Kernels.ipp"

#define ckernels program14
#define WB_RATE 4
#define WB_SLOTS 16
#define WB_WIDTH 64
#define WB_ELEMENT_BYTES 2
#define WB_DYNAMIC 0
#define WB_FORWARD_STAGES 2
#define WB_BACKWARD_STAGES 2
#define WB_SHARED_SUMS 1
#include "Kernels.ipp"

#define ckernels program15
#define WB_RATE 17
#define WB_SLOTS 32
#define WB_WIDTH 64
#define WB_ELEMENT_BYTES 2
#define WB_DYNAMIC 1
#define WB_FORWARD_STAGES 1
#define WB_BACKWARD_STAGES 1
#define WB_SHARED_SUMS 1
#include "Kernels.ipp"

namespace {

const emulation::Program *const programs[] = {
    &program0::cuda::program,  &program1::cuda::program,  &program2::cuda::program,  &program3::cuda::program,
    &program4::cuda::program,  &program5::cuda::program,  &program6::cuda::program,  &program7::cuda::program,
    &program8::cuda::program,  &program9::cuda::program,  &program10::cuda::program, &program11::cuda::program,
    &program12::cuda::program, &program13::cuda::program, &program14::cuda::program, &program15::cuda::program,
};

}  // namespace

int cuda_emulation_count(void) { return int(sizeof(programs) / sizeof(programs[0])); }

cuda_emulation cuda_emulation_describe(int program) { return programs[program]->description; }

bool cuda_emulation_forward(
    int program, const ck_connection *writer, const ck_connection *reader, int64_t tokens, const void *state,
    const void *output, void *next_state, void *savedWrite, void *input, int blocks) {
  return programs[program]->forward(writer, reader, tokens, state, output, next_state, savedWrite, input, blocks);
}

bool cuda_emulation_backward(
    int program, const ck_connection *connection, int64_t tokens, const void *state, const void *output,
    const void *input_gradient, const void *next_state_gradient, const void *previous_saved_write, void *state_gradient,
    void *previous_output_gradient, const ck_connection_gradients *gradients, int blocks) {
  return programs[program]->backward(
      connection, tokens, state, output, input_gradient, next_state_gradient, previous_saved_write, state_gradient,
      previous_output_gradient, gradients, blocks);
}
