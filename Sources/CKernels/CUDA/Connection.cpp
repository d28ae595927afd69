// The entry points of ckernels_cuda.h: arguments checked, then handed to the kernels of their kind.
#include "ckernels_cuda.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include "Guard.hpp"
#include "Modules.hpp"

namespace ckernels {
namespace cuda {
namespace {

Kind kindOf(const ck_connection &connection, ck_cuda_element element) {
  // Beyond these sizes offsets into shared memory could overflow; no such state fits there anyway.
  constexpr int64_t mostSlots = 1024, mostChannels = 65536;
  const int64_t m = connection.fraction_rate, n = connection.slots, C = connection.slot_width;
  if (m < 1 || n < m || n > mostSlots || C < 1 || C > mostChannels)
    throw Failure{
        "there are no kernels for a fraction rate of " + std::to_string(m) + " and " + std::to_string(n) +
        " slots of " + std::to_string(C) + " channels"};
  return {int(m), int(n), int(C), int(element), connection.dynamic_alpha != nullptr};
}

const Module &moduleFor(const ck_connection &connection, const ck_cuda_target &target) {
  return module(kindOf(connection, target.element), target.device);
}

Weights weights(const ck_connection *c) {
  if (!c) return {};
  requireAligned({c->dynamic_alpha, c->dynamic_beta, c->gain});
  return {c->static_alpha, c->static_beta, c->dynamic_alpha, c->dynamic_beta, c->alpha_scale, c->beta_scale,
          c->gain,         c->epsilon};
}

bool forward(
    const ck_connection *writer, const ck_connection *reader, int64_t tokens, const void *state, const void *output,
    void *nextState, void *beta, void *input, const ck_cuda_target &target) {
  const Module &kernels = moduleFor(writer ? *writer : *reader, target);
  if (writer && reader) {
    const Kind a = kindOf(*writer, target.element), b = kindOf(*reader, target.element);
    if (a < b || b < a) throw Failure{"a connection and the next one are of different kinds"};
  }
  if (tokens <= 0) return tokens == 0;
  requireAligned({state, output, nextState, input});
  const Kernel &kernel = writer && reader ? kernels.writeRead : writer ? kernels.write : kernels.read;
  if (writer && reader && !kernels.choices.fusesForward)
    return forward(writer, nullptr, tokens, state, output, nextState, beta, nullptr, target) &&
           forward(nullptr, reader, tokens, nextState, nullptr, nullptr, nullptr, input, target);
  const ForwardArguments arguments{weights(writer), weights(reader), state, output, nextState, beta, input, tokens};
  kernel.launch(kernel.blocksFor(tokens), target.stream, &arguments);
  return true;
}

bool writeBackward(
    const ck_connection &connection, int64_t tokens, const void *beta, const void *nextStateGradient,
    void *outputGradient, const ck_cuda_target &target) {
  const Module &kernels = moduleFor(connection, target);
  if (tokens <= 0) return tokens == 0;
  if (!beta) throw Failure{"the backward pass of a write needs the coefficients that the write saved"};
  requireAligned({beta, nextStateGradient, outputGradient});
  BackwardArguments arguments{};
  arguments.nextStateGradient = nextStateGradient;
  arguments.previousBeta = beta;
  arguments.previousOutputGradient = outputGradient;
  arguments.tokens = tokens;
  kernels.writeBackward.launch(kernels.writeBackward.blocksFor(tokens), target.stream, &arguments);
  return true;
}

/// The kernel that does the backward pass of a whole connection, with the previous write's where they are one.
const Kernel &backwardKernel(const Module &kernels, bool hasPrevious) {
  return hasPrevious && kernels.choices.fusesBackward ? kernels.backwardWriteBackward : kernels.backward;
}

int64_t scratchCount(const Module &kernels, int64_t tokens) {
  const int blocks = std::max(kernels.backward.blocksFor(tokens), backwardKernel(kernels, true).blocksFor(tokens));
  return int64_t(kernels.choices.shape.sumCount()) * (blocks + 1);
}

bool backward(
    const ck_connection &connection, const BackwardArguments &passed, const ck_connection_gradients *gradients,
    const ck_cuda_target &target) {
  const Module &kernels = moduleFor(connection, target);
  const int64_t tokens = passed.tokens;
  if (tokens <= 0) return tokens == 0;
  requireAligned(
      {passed.state, passed.output, passed.inputGradient, passed.nextStateGradient, passed.previousBeta,
       passed.stateGradient, passed.previousOutputGradient, target.scratch});
  const Kernel &kernel = backwardKernel(kernels, passed.previousBeta != nullptr);
  const int blocks = kernel.blocksFor(tokens);
  BackwardArguments arguments = passed;
  arguments.connection = weights(&connection);
  arguments.sums = target.scratch;
  kernel.launch(blocks, target.stream, &arguments);
  if (passed.previousBeta && !kernels.choices.fusesBackward)
    writeBackward(
        connection, tokens, passed.previousBeta, passed.stateGradient, passed.previousOutputGradient, target);
  if (!gradients) return true;
  const int count = kernels.choices.shape.sumCount();
  const ReductionArguments reduction{
      arguments.connection,     target.scratch,           target.scratch + int64_t(count) * blocks,
      gradients->static_alpha,  gradients->static_beta,   gradients->dynamic_alpha,
      gradients->dynamic_beta,  gradients->alpha_scale,   gradients->beta_scale,
      gradients->gain,          blocks};
  for (const Kernel *step : {&kernels.addBlocks, &kernels.deliver})
    step->launch(count / step->threads + 1, target.stream, &reduction);
  return true;
}

}  // namespace
}  // namespace cuda
}  // namespace ckernels

using namespace ckernels::cuda;

bool ck_cuda_connection_is_supported(const ck_connection *connection, const ck_cuda_target *target) {
  return guarded(false, [&] {
    moduleFor(*connection, *target);
    return true;
  });
}

int64_t ck_cuda_scratch_count(const ck_connection *connection, int64_t tokens, const ck_cuda_target *target) {
  return guarded<int64_t>(0, [&] { return scratchCount(moduleFor(*connection, *target), tokens); });
}

bool ck_cuda_connection_read(
    const ck_connection *connection, int64_t tokens, const void *state, void *input, const ck_cuda_target *target) {
  return guarded(false, [&] {
    return forward(nullptr, connection, tokens, state, nullptr, nullptr, nullptr, input, *target);
  });
}

bool ck_cuda_connection_write(
    const ck_connection *connection, int64_t tokens, const void *state, const void *output, void *next_state,
    void *beta, const ck_cuda_target *target) {
  return guarded(false, [&] {
    return forward(connection, nullptr, tokens, state, output, next_state, beta, nullptr, *target);
  });
}

bool ck_cuda_connection_write_read(
    const ck_connection *connection, const ck_connection *next, int64_t tokens, const void *state, const void *output,
    void *next_state, void *beta, void *next_input, const ck_cuda_target *target) {
  return guarded(false, [&] {
    return forward(connection, next, tokens, state, output, next_state, beta, next_input, *target);
  });
}

bool ck_cuda_connection_write_backward(
    const ck_connection *connection, int64_t tokens, const void *beta, const void *next_state_gradient,
    void *output_gradient, const ck_cuda_target *target) {
  return guarded(false, [&] {
    return writeBackward(*connection, tokens, beta, next_state_gradient, output_gradient, *target);
  });
}

bool ck_cuda_connection_backward(
    const ck_connection *connection, int64_t tokens, const void *state, const void *output, const void *input_gradient,
    const void *next_state_gradient, void *state_gradient, const ck_connection_gradients *gradients,
    const ck_cuda_target *target) {
  return ck_cuda_connection_backward_write_backward(
      connection, tokens, state, output, input_gradient, next_state_gradient, nullptr, state_gradient, nullptr,
      gradients, target);
}

bool ck_cuda_connection_backward_write_backward(
    const ck_connection *connection, int64_t tokens, const void *state, const void *output, const void *input_gradient,
    const void *next_state_gradient, const void *previous_beta, void *state_gradient, void *previous_output_gradient,
    const ck_connection_gradients *gradients, const ck_cuda_target *target) {
  return guarded(false, [&] {
    BackwardArguments arguments{};
    arguments.state = state;
    arguments.output = output;
    arguments.inputGradient = input_gradient;
    arguments.nextStateGradient = next_state_gradient;
    arguments.previousBeta = previous_beta;
    arguments.stateGradient = state_gradient;
    arguments.previousOutputGradient = previous_output_gradient;
    arguments.tokens = tokens;
    return backward(*connection, arguments, gradients, *target);
  });
}

const char *ck_cuda_compile(
    const ck_connection *connection, ck_cuda_element element, int architecture, int shared_bytes,
    ck_cuda_kernel kernels[8], int *count) {
  return guarded<const char *>(nullptr, [&] {
    thread_local std::string report;
    const Processor processor{architecture, shared_bytes, 1};
    const Choices choices(kindOf(*connection, element), processor);
    report = compile(choices, processor).report;
    *count = 0;
    auto add = [&](const char *name, int bytes) {
      kernels[(*count)++] = ck_cuda_kernel{name, choices.shape.threads(), bytes};
    };
    add("connectionRead", choices.forwardBytes(false, true));
    add("connectionWrite", choices.forwardBytes(true, false));
    add("connectionWriteBackward", choices.backwardBytes(false, true));
    add("connectionBackward", choices.backwardBytes(true, false));
    add("connectionAddBlocks", 0);
    add("connectionDeliver", 0);
    if (choices.fusesForward) add("connectionWriteRead", choices.forwardBytes(true, true));
    if (choices.fusesBackward) add("connectionBackwardWriteBackward", choices.backwardBytes(true, true));
    return report.c_str();
  });
}
