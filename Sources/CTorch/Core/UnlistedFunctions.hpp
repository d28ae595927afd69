// Functions of libtorch that this package finds by their mangled names at run time.
//
// | function                          | why by name                                  | where it is missing               |
// |-----------------------------------|----------------------------------------------|-----------------------------------|
// | at::native::mkldnn_matmul         | It is in no public header, and builds without | Large products of float32 go      |
// |                                   | oneDNN do not have it. oneDNN's products use  | through at::mm, which is slower on |
// |                                   | the widest vectors of every processor.        | AMD processors with AVX-512.       |
// | at::cuda::CUDAGraph: constructor, | libtorch's CUDA library is loaded when a CUDA | No graph is captured: operators    |
// | destructor, capture_begin,        | device is first used, so that nothing can     | are launched one by one, and a     |
// | capture_end, replay               | link against it.                              | line on standard error says so.    |
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace wideband {

/// at::native::mkldnn_matmul: result = beta result + alpha a b.
typedef void (*OneDNNProduct)(
    const at::Tensor &a, const at::Tensor &b, const at::Tensor &result, float beta, float alpha);

/// Null where this libtorch does not export it.
OneDNNProduct findOneDNNProduct();

/// The functions of at::cuda::CUDAGraph, each with the object as first argument.
struct CUDAGraphFunctions {
  typedef std::pair<unsigned long long, unsigned long long> Pool;
  void (*construct)(void *, bool keepsGraph);
  void (*destroy)(void *);
  void (*captureBegin)(void *, Pool, int mode);
  void (*captureEnd)(void *);
  void (*replay)(void *);

  /// Throws where libtorch's CUDA library, which must be loaded, does not export one of them.
  static const CUDAGraphFunctions &all();
};

}  // namespace wideband
