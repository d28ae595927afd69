// The OpenMP library that libtorch loads.
#pragma once

namespace ckernels {

/// Functions of GNU's OpenMP library, which LLVM's also has. They are looked up at run time, because a process without
/// libtorch has no OpenMP library: then they are null.
struct OpenMP {
  void (*parallel)(void (*)(void *), void *, unsigned, unsigned) = nullptr;
  int (*threadNumber)() = nullptr;
  int (*isInParallel)() = nullptr;
  int (*maximumThreads)() = nullptr;
  void (*setThreads)(int) = nullptr;

  static const OpenMP &inProcess();

  bool isComplete() const { return parallel && threadNumber && isInParallel && maximumThreads && setThreads; }
};

}  // namespace ckernels
