#include "Layers/ConnectionKernels.hpp"

#include "Core/Parallel.hpp"

namespace wideband {
namespace kernels {
namespace {

void requireProcessor(bool succeeded) { TORCH_CHECK(succeeded, "the kernel refused the sizes or had no memory"); }

void requireGPU(bool succeeded) { TORCH_CHECK(succeeded, ck_cuda_error()); }

/// A pass as arguments for the processor or for a GPU.
template <class Args>
Args arguments(const ConnectionForward &pass) {
  return {
      .writer = pass.writer,
      .reader = pass.reader,
      .tokens = pass.tokens,
      .state = pass.state,
      .output = pass.output,
      .next_state = pass.nextState,
      .saved_write = pass.savedWrite,
      .input = pass.input};
}

template <class Args>
Args arguments(const ConnectionBackward &pass) {
  return {
      .connection = pass.connection,
      .writer = pass.writer,
      .tokens = pass.tokens,
      .state = pass.state,
      .output = pass.output,
      .input_gradient = pass.inputGradient,
      .next_state_gradient = pass.nextStateGradient,
      .state_gradient = pass.stateGradient,
      .gradients = pass.gradients,
      .saved_write = pass.savedWrite,
      .writer_output_gradient = pass.writerOutputGradient};
}

}  // namespace

bool take(const at::Tensor &state) { return isForCUDAKernels(state) || isFloatOnProcessor(state); }

std::string refusal(const ck_connection &connection, const at::Tensor &state) {
  if (!state.is_cuda()) return "";
  const auto target = cudaTarget(state);
  return ck_cuda_connection_is_supported(&connection, &target) ? "" : ck_cuda_error();
}

void run(const ConnectionForward &pass, const at::Tensor &state) {
  if (state.is_cuda()) {
    const auto target = cudaTarget(state);
    const auto args = arguments<ck_cuda_connection_forward_args>(pass);
    return requireGPU(ck_cuda_connection_forward(&args, &target));
  }
  const auto args = arguments<ck_connection_forward_args>(pass);
  requireProcessor(ck_connection_forward(&args, threadCount()));
}

void run(const ConnectionBackward &pass, const at::Tensor &state) {
  if (state.is_cuda()) {
    auto target = cudaTarget(state);
    at::Tensor scratch;
    if (pass.connection) {
      const int64_t count = ck_cuda_scratch_count(pass.connection, pass.tokens, &target);
      requireGPU(count > 0);
      // Freed before the kernels have run: libtorch reuses it only for later work of the same stream.
      scratch = at::empty({count}, state.options().dtype(at::kFloat));
      target.scratch = mutableData(scratch);
    }
    const auto args = arguments<ck_cuda_connection_backward_args>(pass);
    return requireGPU(ck_cuda_connection_backward(&args, &target));
  }
  const auto args = arguments<ck_connection_backward_args>(pass);
  requireProcessor(ck_connection_backward(&args, threadCount()));
}

}  // namespace kernels
}  // namespace wideband
