// The OpenMP library that the process already has, which libtorch loads.
#pragma once

namespace ckernels {

/// Functions of GNU's OpenMP library, which LLVM's has too. They are found at run time: a process without libtorch has none
/// of them.
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
