// The GPU's instructions that the kernels use, each in a function of its own: tests on a processor include their own version
// of these functions first, and run the rest unchanged.
#ifndef WB_DEVICE
#define WB_DEVICE __device__ __forceinline__
/// A kernel of which so many blocks must fit on a multiprocessor.
#define WB_KERNEL(blocks) extern "C" __global__ void __launch_bounds__(threads, blocks)
/// A kernel's arguments, which stay in constant memory for every kind of indexing.
#define WB_ARGUMENTS const __grid_constant__

namespace ckernels::cuda {

WB_DEVICE int threadIndex() { return threadIdx.x; }
WB_DEVICE int blockIndex() { return blockIdx.x; }
WB_DEVICE int blockCount() { return gridDim.x; }

WB_DEVICE unsigned char *sharedMemory() {
  extern __shared__ __align__(16) unsigned char memory[];
  return memory;
}

WB_DEVICE void waitForBlock() { __syncthreads(); }
WB_DEVICE void waitForWarp() { __syncwarp(); }
WB_DEVICE float fromLane(float value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }
WB_DEVICE unsigned wordFromLane(unsigned word, int mask) { return __shfl_xor_sync(0xffffffffu, word, mask); }

WB_DEVICE float floatFromBits(unsigned bits) { return __uint_as_float(bits); }
WB_DEVICE float inverseRoot(float x) { return rsqrtf(x); }
WB_DEVICE float exactTanh(float x) { return tanhf(x); }

/// Within 2^-11 of the value, a quarter of the error of rounding the coefficient to bfloat16.
WB_DEVICE float quickTanh(float x) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

WB_DEVICE unsigned short roundedBits(float x) {
  unsigned short bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}

/// Two bfloat16 in a word, the first in its lower half.
WB_DEVICE unsigned roundedPair(float first, float second) {
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
}

WB_DEVICE float maximum(float a, float b) { return fmaxf(a, b); }
WB_DEVICE float magnitude(float x) { return fabsf(x); }
WB_DEVICE float nearest(float x) { return rintf(x); }
/// 2 to the power of x, within 2^-22 of it, and 0 for minus infinity.
WB_DEVICE float powerOfTwo(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Four of the bytes of two words, 0 to 3 and 4 to 7, one for each digit of the selector from the lowest up.
WB_DEVICE unsigned chosenBytes(unsigned a, unsigned b, unsigned selector) { return __byte_perm(a, b, selector); }

/// a b + c for two bfloat16 in a word each.
WB_DEVICE unsigned multiplyAddPairs(unsigned a, unsigned b, unsigned c) {
  unsigned d;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}

/// 16 bytes that this launch reads once. The load is issued here and waited for where its result is used.
WB_DEVICE void loadOnce(unsigned (&word)[4], const void *global) {
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(word[0]), "=r"(word[1]), "=r"(word[2]), "=r"(word[3])
               : "l"(global));
}

/// A value that other blocks of the same launch wrote before they incremented the counter.
WB_DEVICE float fromOtherBlocks(const float *global) { return __ldcg(global); }
/// Makes this thread's writes visible to other blocks before its later writes.
WB_DEVICE void publish() { __threadfence(); }
/// Increments a counter that all blocks share; returns its previous value.
WB_DEVICE int countUp(int *counter) { return atomicAdd(counter, 1); }

WB_DEVICE unsigned sharedAddress(const void *pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

/// Copies 16 bytes to shared memory without waiting for them.
WB_DEVICE void copyPrefetching(void *shared, const void *global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(sharedAddress(shared)), "l"(global) : "memory");
}
WB_DEVICE void endCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits for all groups of copies but the last `Pending`.
template <int Pending>
WB_DEVICE void waitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

/// Four 8 x 8 matrices of bfloat16 from shared memory; lane i names row i % 8 of matrix i / 8.
WB_DEVICE void loadMatrices(unsigned (&r)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(sharedAddress(row))
               : "memory");
}
WB_DEVICE void loadTransposed(unsigned (&r)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(sharedAddress(row))
               : "memory");
}

/// d [16, 8] += a [16, 16] b [16, 8] on the tensor cores, b as two of its four words from `b` on.
WB_DEVICE void multiplyAdd(float (&d)[4], const unsigned (&a)[4], const unsigned *b) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace ckernels::cuda
#endif
