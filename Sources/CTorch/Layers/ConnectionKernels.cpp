#include "Layers/ConnectionKernels.hpp"

#include "Core/Parallel.hpp"
#include "CUDA/CUDAKernels.hpp"

namespace wideband {
namespace kernels {
namespace {

void requireProcessor(bool succeeded) { TORCH_CHECK(succeeded, "the kernel refused the sizes or had no memory"); }

void requireGPU(bool succeeded) { TORCH_CHECK(succeeded, ck_cuda_error()); }

const void *address(const at::Tensor &tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; }
void *place(const at::Tensor &tensor) { return tensor.defined() ? tensor.mutable_data_ptr() : nullptr; }
float *floats(const at::Tensor &tensor) { return static_cast<float *>(place(tensor)); }

}  // namespace

bool take(const at::Tensor &state) { return isForCUDAKernels(state) || isFloatOnProcessor(state); }

std::string refusal(const ck_connection &connection, const at::Tensor &state) {
  if (!state.is_cuda()) return "";
  const auto where = cudaTarget(state);
  return ck_cuda_connection_is_supported(&connection, &where) ? "" : ck_cuda_error();
}

void read(const ck_connection &connection, int64_t tokens, const at::Tensor &state, const at::Tensor &input) {
  if (state.is_cuda()) {
    const auto where = cudaTarget(state);
    const ck_cuda_connection_forward_args args{
        .reader = &connection, .tokens = tokens, .state = address(state), .input = place(input)};
    return requireGPU(ck_cuda_connection_forward(&args, &where));
  }
  const ck_connection_forward_args args{
      .reader = &connection, .tokens = tokens, .state = data(state), .input = mutableData(input)};
  requireProcessor(ck_connection_forward(&args, threadCount()));
}

void write(
    const ck_connection &connection, const ck_connection *next, int64_t tokens, const at::Tensor &state,
    const at::Tensor &output, const at::Tensor &nextState, const at::Tensor &savedWrite, const at::Tensor &nextInput) {
  if (state.is_cuda()) {
    const auto where = cudaTarget(state);
    const ck_cuda_connection_forward_args args{
        .writer = &connection,
        .reader = next,
        .tokens = tokens,
        .state = address(state),
        .output = address(output),
        .next_state = place(nextState),
        .saved_write = place(savedWrite),
        .input = place(nextInput)};
    return requireGPU(ck_cuda_connection_forward(&args, &where));
  }
  const ck_connection_forward_args args{
      .writer = &connection,
      .reader = next,
      .tokens = tokens,
      .state = data(state),
      .output = data(output),
      .next_state = mutableData(nextState),
      .saved_write = floats(savedWrite),
      .input = floats(nextInput)};
  requireProcessor(ck_connection_forward(&args, threadCount()));
}

void writeBackward(
    const ck_connection &connection, int64_t tokens, const at::Tensor &savedWrite, const at::Tensor &nextStateGradient,
    const at::Tensor &outputGradient) {
  if (savedWrite.is_cuda()) {
    const auto where = cudaTarget(savedWrite);
    const ck_cuda_connection_backward_args args{
        .writer = &connection,
        .tokens = tokens,
        .next_state_gradient = address(nextStateGradient),
        .saved_write = address(savedWrite),
        .writer_output_gradient = place(outputGradient)};
    return requireGPU(ck_cuda_connection_backward(&args, &where));
  }
  const ck_connection_backward_args args{
      .writer = &connection,
      .tokens = tokens,
      .next_state_gradient = data(nextStateGradient),
      .saved_write = data(savedWrite),
      .writer_output_gradient = mutableData(outputGradient)};
  requireProcessor(ck_connection_backward(&args, threadCount()));
}

void backward(
    const ck_connection &connection, const ck_connection *previous, int64_t tokens, const at::Tensor &state,
    const at::Tensor &output, const at::Tensor &inputGradient, const at::Tensor &nextStateGradient,
    const at::Tensor &previousSavedWrite, const at::Tensor &stateGradient, const at::Tensor &previousOutputGradient,
    const ck_connection_gradients &gradients) {
  if (state.is_cuda()) {
    auto where = cudaTarget(state);
    const int64_t count = ck_cuda_scratch_count(&connection, tokens, &where);
    requireGPU(count > 0);
    // Freed before the kernels have run: libtorch reuses it only for later work of the same stream.
    auto scratch = at::empty({count}, state.options().dtype(at::kFloat));
    where.scratch = floats(scratch);
    const ck_cuda_connection_backward_args args{
        .connection = &connection,
        .writer = previous,
        .tokens = tokens,
        .state = address(state),
        .output = address(output),
        .input_gradient = address(inputGradient),
        .next_state_gradient = address(nextStateGradient),
        .state_gradient = place(stateGradient),
        .gradients = &gradients,
        .saved_write = address(previousSavedWrite),
        .writer_output_gradient = place(previousOutputGradient)};
    return requireGPU(ck_cuda_connection_backward(&args, &where));
  }
  const ck_connection_backward_args args{
      .connection = &connection,
      .writer = previous,
      .tokens = tokens,
      .state = data(state),
      .output = data(output),
      .input_gradient = data(inputGradient),
      .next_state_gradient = data(nextStateGradient),
      .state_gradient = mutableData(stateGradient),
      .gradients = &gradients,
      .saved_write = data(previousSavedWrite),
      .writer_output_gradient = floats(previousOutputGradient)};
  requireProcessor(ck_connection_backward(&args, threadCount()));
}

}  // namespace kernels
}  // namespace wideband
