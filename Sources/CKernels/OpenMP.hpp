// The OpenMP library that the process already has, as libtorch brings it along.
#pragma once

namespace ckernels {

/// The entry points of GNU's OpenMP interface, which LLVM's library offers too. They are found at run time: a process
/// without libtorch has none of them.
struct OpenMP {
  void (*parallel)(void (*)(void *), void *, unsigned, unsigned) = nullptr;
  int (*threadNumber)() = nullptr;
  int (*isInParallel)() = nullptr;
  int (*mostThreads)() = nullptr;
  void (*setThreads)(int) = nullptr;

  static const OpenMP &inProcess();

  bool isComplete() const { return parallel && threadNumber && isInParallel && mostThreads && setThreads; }
};

}  // namespace ckernels
