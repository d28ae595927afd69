// The kernels for one kind of connection on one GPU: their parameters, and their machine code.
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "../device/ConnectionLayout.cuh"
#include "../device/DecodingLayout.cuh"
#include "ckernels_cuda.h"
#include "Libraries.hpp"

namespace ckernels::cuda {

/// A kind of connection.
struct Kind {
  int m, n, C, elementBytes;
  bool isDynamic;

  auto key() const { return std::make_tuple(m, n, C, elementBytes, isDynamic); }
};

/// The properties of a GPU.
struct Processor {
  int architecture;  ///< 90 for compute capability 9.0
  int sharedBytes;   ///< at most for a block
  int multiprocessors;
};

/// The use of a GPU's shared memory for a kind of connection.
struct SharedMemoryPlan {
  Shape shape;
  int forwardStages = 1, backwardStages = 1;
  bool keepsSums = false, fusesForward = true, fusesBackward = true;

  /// Throws a `Failure` if a token does not fit into the shared memory.
  SharedMemoryPlan(const Kind &kind, const Processor &processor);

  int forwardBytes(bool writes, bool reads) const { return ForwardLayout(shape, writes, reads, forwardStages).bytes; }
  int backwardBytes(bool isWhole, bool hasPrevious) const {
    return BackwardLayout(shape, isWhole, hasPrevious, backwardStages, keepsSums).bytes;
  }
};

struct Compiled {
  std::vector<char> code;
  std::string report;
  std::vector<ck_cuda_kernel> kernels;
};

/// The kernels of connections. Throws a `Failure` with the compiler's messages.
Compiled compile(const SharedMemoryPlan &plan, const Processor &processor);

/// The kernels of norms of rows of `shape.C` channels, a state of one slot. Throws like `compile`, and for rows that are too
/// wide.
Compiled compileNorm(const Shape &shape, const Processor &processor);

/// The kernels of products of a few rows with `sharedBytes` of shared memory, and of attention over a cache. Throw like
/// `compile`.
Compiled compileProduct(const ProductShape &shape, int sharedBytes, const Processor &processor);
Compiled compileAttention(const AttentionShape &shape, const Processor &processor);

/// Copies the list of kernels; returns the report, which lives until the thread's next call.
const char *describe(const Compiled &compiled, ck_cuda_kernel kernels[8], int *count);

}  // namespace ckernels::cuda
