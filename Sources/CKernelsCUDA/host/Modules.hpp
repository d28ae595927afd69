// Compiled kernels, ready to be launched: one set in a process for each kind of connection and GPU.
#pragma once

#include "Program.hpp"

namespace ckernels::cuda {

/// A kernel on a GPU.
struct Kernel {
  void *function = nullptr;
  int threads = 0, sharedBytes = 0;
  int blocksAtOnce = 0;  ///< on the whole GPU

  int blocksFor(long long tokens) const { return int(tokens < blocksAtOnce ? tokens : blocksAtOnce); }
  /// Throws a `Failure` if the driver refuses it.
  void launch(int blocks, void *stream, const void *arguments) const { launch(blocks, stream, arguments, sharedBytes); }
  /// The same with less shared memory than the maximum.
  void launch(int blocks, void *stream, const void *arguments, int bytes) const;
};

struct Module {
  SharedMemoryPlan plan;
  Kernel read, write, writeRead, writeBackward, backward, backwardWriteBackward, addBlocks, addToGradients;
};

/// The kernels of norms of one width.
struct NormModule {
  Kernel forward, backward, addToGradients;
};

/// The kernels of products of up to `shape.rows` rows.
struct ProductModule {
  ProductShape shape;
  int multiprocessors;
  Kernel plain, projections, gates;
};

/// The kernel of attention over a cache.
struct AttentionModule {
  AttentionShape shape;
  int multiprocessors;
  Kernel attention;
};

/// The kernels for a kind of connection on the GPU of this number; compiles them the first time, and makes that GPU the
/// thread's current one. Throws a `Failure`, the same one every time.
const Module &module(const Kind &kind, int device);

/// The same for rows of `width` elements.
const NormModule &normModule(int width, int elementBytes, int device);

/// The same for products, and for attention.
const ProductModule &productModule(const ProductShape &shape, int device);
const AttentionModule &attentionModule(const AttentionShape &shape, int device);

}  // namespace ckernels::cuda
