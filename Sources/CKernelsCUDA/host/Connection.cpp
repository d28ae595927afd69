// Connections on a GPU: arguments checked, then handed to the kernels of their kind.
#include "ckernels_cuda.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include "Guard.hpp"
#include "Modules.hpp"

namespace ckernels::cuda {
namespace {

Kind kindOf(const ck_connection &connection, ck_cuda_element element) {
  // Beyond these sizes offsets into shared memory could overflow; no such state fits there anyway.
  constexpr int64_t maximumSlots = 1024, maximumChannels = 65536;
  const int64_t m = connection.fraction_rate, n = connection.slots, C = connection.slot_width;
  if (m < 1 || n < m || n > maximumSlots || C < 1 || C > maximumChannels)
    throw Failure{
        "there are no kernels for a fraction rate of " + std::to_string(m) + " and " + std::to_string(n) +
        " slots of " + std::to_string(C) + " channels"};
  return {int(m), int(n), int(C), int(element), connection.dynamic_read_carry != nullptr};
}

const Module &moduleFor(const ck_connection &connection, const ck_cuda_target &target) {
  return module(kindOf(connection, target.element), target.device);
}

Weights weights(const ck_connection *c) {
  if (!c) return {};
  requireAligned({c->dynamic_read_carry, c->dynamic_write, c->gain});
  return {
      c->static_read_carry,
      c->static_write,
      c->dynamic_read_carry,
      c->dynamic_write,
      c->read_carry_scale,
      c->write_scale,
      c->gain,
      c->epsilon};
}

bool forward(const ck_cuda_connection_forward_args &args, const ck_cuda_target &target) {
  const ck_connection *writer = args.writer, *reader = args.reader;
  if (!writer && !reader) throw Failure{"expected a connection that writes or reads"};
  const Module &kernels = moduleFor(writer ? *writer : *reader, target);
  if (writer && reader) {
    const Kind a = kindOf(*writer, target.element), b = kindOf(*reader, target.element);
    if (a.key() != b.key()) throw Failure{"a connection and the next one are of different kinds"};
  }
  if (args.tokens <= 0) return args.tokens == 0;
  requireAligned({args.state, args.output, args.next_state, args.input});
  const Kernel &kernel = writer && reader ? kernels.writeRead : writer ? kernels.write : kernels.read;
  if (writer && reader && !kernels.plan.fusesForward) {
    auto write = args;
    write.reader = nullptr;
    write.input = nullptr;
    return forward(write, target) &&
           forward({.reader = reader, .tokens = args.tokens, .state = args.next_state, .input = args.input}, target);
  }
  const ForwardArguments arguments{weights(writer), weights(reader),  args.state, args.output,
                                   args.next_state, args.saved_write, args.input, args.tokens};
  kernel.launch(kernel.blocksFor(args.tokens), target.stream, &arguments);
  return true;
}

void requireSavedWrite(const ck_cuda_connection_backward_args &args) {
  if (!args.saved_write) throw Failure{"the backward pass of a write needs the coefficients that the write saved"};
}

bool writeBackward(const ck_cuda_connection_backward_args &args, const ck_cuda_target &target) {
  const Module &kernels = moduleFor(*args.writer, target);
  if (args.tokens <= 0) return args.tokens == 0;
  requireSavedWrite(args);
  requireAligned({args.saved_write, args.next_state_gradient, args.writer_output_gradient});
  BackwardArguments arguments{};
  arguments.nextStateGradient = args.next_state_gradient;
  arguments.previousSavedWrite = args.saved_write;
  arguments.previousOutputGradient = args.writer_output_gradient;
  arguments.tokens = args.tokens;
  kernels.writeBackward.launch(kernels.writeBackward.blocksFor(args.tokens), target.stream, &arguments);
  return true;
}

/// The kernel of the backward pass of a connection, fused with that of the write before it where there is such a kernel.
const Kernel &backwardKernel(const Module &kernels, bool hasWriter) {
  return hasWriter && kernels.plan.fusesBackward ? kernels.backwardWriteBackward : kernels.backward;
}

int64_t scratchCount(const Module &kernels, int64_t tokens) {
  const int blocks = std::max(kernels.backward.blocksFor(tokens), backwardKernel(kernels, true).blocksFor(tokens));
  return int64_t(kernels.plan.shape.sumCount()) * (blocks + 1);
}

bool backward(const ck_cuda_connection_backward_args &args, const ck_cuda_target &target) {
  if (!args.connection && !args.writer) throw Failure{"expected a connection or a write to differentiate"};
  if (!args.connection) return writeBackward(args, target);
  const Module &kernels = moduleFor(*args.connection, target);
  if (args.tokens <= 0) return args.tokens == 0;
  if (args.writer) requireSavedWrite(args);
  requireAligned(
      {args.state, args.output, args.input_gradient, args.next_state_gradient, args.saved_write, args.state_gradient,
       args.writer_output_gradient, target.scratch});
  const Kernel &kernel = backwardKernel(kernels, args.writer != nullptr);
  const int blocks = kernel.blocksFor(args.tokens);
  const BackwardArguments arguments{
      weights(args.connection),
      args.state,
      args.output,
      args.input_gradient,
      args.next_state_gradient,
      args.writer ? args.saved_write : nullptr,
      args.state_gradient,
      args.writer_output_gradient,
      target.scratch,
      args.tokens};
  kernel.launch(blocks, target.stream, &arguments);
  if (args.writer && !kernels.plan.fusesBackward)
    writeBackward(
        {.writer = args.writer,
         .tokens = args.tokens,
         .next_state_gradient = args.state_gradient,
         .saved_write = args.saved_write,
         .writer_output_gradient = args.writer_output_gradient},
        target);
  const ck_connection_gradients *gradients = args.gradients;
  if (!gradients) return true;
  const int count = kernels.plan.shape.sumCount();
  const ReductionArguments reduction{
      arguments.connection,
      target.scratch,
      target.scratch + int64_t(count) * blocks,
      gradients->static_read_carry,
      gradients->static_write,
      gradients->dynamic_read_carry,
      gradients->dynamic_write,
      gradients->read_carry_scale,
      gradients->write_scale,
      gradients->gain,
      blocks};
  for (const Kernel *step : {&kernels.addBlocks, &kernels.addToGradients})
    step->launch(count / step->threads + 1, target.stream, &reduction);
  return true;
}

}  // namespace
}  // namespace ckernels::cuda

using namespace ckernels::cuda;

bool ck_cuda_connection_is_supported(const ck_connection *connection, const ck_cuda_target *target) {
  return succeeds([&] { moduleFor(*connection, *target); });
}

int64_t ck_cuda_scratch_count(const ck_connection *connection, int64_t tokens, const ck_cuda_target *target) {
  return guarded<int64_t>(0, [&] { return scratchCount(moduleFor(*connection, *target), tokens); });
}

bool ck_cuda_connection_forward(const ck_cuda_connection_forward_args *args, const ck_cuda_target *target) {
  return guarded(false, [&] { return forward(*args, *target); });
}

bool ck_cuda_connection_backward(const ck_cuda_connection_backward_args *args, const ck_cuda_target *target) {
  return guarded(false, [&] { return backward(*args, *target); });
}

const char *ck_cuda_compile(
    const ck_connection *connection, ck_cuda_element element, int architecture, int shared_bytes,
    ck_cuda_kernel kernels[8], int *count) {
  return guarded<const char *>(nullptr, [&] {
    const Processor processor{architecture, shared_bytes, 1};
    return describe(compile(SharedMemoryPlan(kindOf(*connection, element), processor), processor), kernels, count);
  });
}
