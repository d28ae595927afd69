#include "ConnectionKernels.hpp"

#include "CUDAKernels.hpp"
#include "Parallel.hpp"

namespace wideband {
namespace kernels {
namespace {

void requireProcessor(bool succeeded) {
  TORCH_CHECK(succeeded, "the kernel refused the sizes or had no memory");
}

void requireGPU(bool succeeded) { TORCH_CHECK(succeeded, ck_cuda_error()); }

const void *address(const at::Tensor &tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; }
void *place(const at::Tensor &tensor) { return tensor.defined() ? tensor.mutable_data_ptr() : nullptr; }
float *floats(const at::Tensor &tensor) { return static_cast<float *>(place(tensor)); }

}  // namespace

bool take(const at::Tensor &state) {
  return isForCUDAKernels(state) || isFloatOnProcessor(state);
}

std::string refusal(const ck_connection &connection, const at::Tensor &state) {
  if (!state.is_cuda()) return "";
  const auto where = cudaTarget(state);
  return ck_cuda_connection_is_supported(&connection, &where) ? "" : ck_cuda_error();
}

void read(const ck_connection &connection, int64_t tokens, const at::Tensor &state, const at::Tensor &input) {
  if (state.is_cuda()) {
    const auto where = cudaTarget(state);
    return requireGPU(ck_cuda_connection_read(&connection, tokens, address(state), place(input), &where));
  }
  requireProcessor(ck_connection_read(&connection, tokens, data(state), mutableData(input), threadCount()));
}

void write(
    const ck_connection &connection, const ck_connection *next, int64_t tokens, const at::Tensor &state,
    const at::Tensor &output, const at::Tensor &nextState, const at::Tensor &beta, const at::Tensor &nextInput) {
  if (state.is_cuda()) {
    const auto where = cudaTarget(state);
    const bool succeeded =
        next ? ck_cuda_connection_write_read(
                   &connection, next, tokens, address(state), address(output), place(nextState), place(beta),
                   place(nextInput), &where)
             : ck_cuda_connection_write(
                   &connection, tokens, address(state), address(output), place(nextState), place(beta), &where);
    return requireGPU(succeeded);
  }
  requireProcessor(ck_connection_write_read(
      &connection, next, tokens, data(state), data(output), mutableData(nextState), floats(beta), floats(nextInput),
      threadCount()));
}

void writeBackward(
    const ck_connection &connection, int64_t tokens, const at::Tensor &beta, const at::Tensor &nextStateGradient,
    const at::Tensor &outputGradient) {
  if (beta.is_cuda()) {
    const auto where = cudaTarget(beta);
    return requireGPU(ck_cuda_connection_write_backward(
        &connection, tokens, address(beta), address(nextStateGradient), place(outputGradient), &where));
  }
  requireProcessor(ck_connection_write_backward(
      &connection, tokens, nullptr, data(beta), data(nextStateGradient), mutableData(outputGradient),
      threadCount()));
}

void backward(
    const ck_connection &connection, const ck_connection *previous, int64_t tokens, const at::Tensor &state,
    const at::Tensor &output, const at::Tensor &inputGradient, const at::Tensor &nextStateGradient,
    const at::Tensor &previousBeta, const at::Tensor &stateGradient, const at::Tensor &previousOutputGradient,
    const ck_connection_gradients &gradients) {
  if (state.is_cuda()) {
    auto where = cudaTarget(state);
    const int64_t count = ck_cuda_scratch_count(&connection, tokens, &where);
    requireGPU(count > 0);
    // Freed before the kernels have run: libtorch gives it to nobody but later work of the same stream.
    auto scratch = at::empty({count}, state.options().dtype(at::kFloat));
    where.scratch = floats(scratch);
    return requireGPU(ck_cuda_connection_backward_write_backward(
        &connection, tokens, address(state), address(output), address(inputGradient), address(nextStateGradient),
        address(previousBeta), place(stateGradient), place(previousOutputGradient), &gradients, &where));
  }
  requireProcessor(ck_connection_backward_write_backward(
      &connection, previous, tokens, data(state), data(output), data(inputGradient), data(nextStateGradient), nullptr,
      data(previousBeta), mutableData(stateGradient), floats(previousOutputGradient), &gradients,
      threadCount()));
}

}  // namespace kernels
}  // namespace wideband
