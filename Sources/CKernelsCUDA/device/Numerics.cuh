// Numbers in memory: float32 or bfloat16, WB_ELEMENT_BYTES each, or 8-bit integers in a cache; loads and stores of several
// of them; and reductions over the lanes of a warp.
namespace ckernels::cuda {

struct BFloat16 {
  unsigned short bits;
};

template <int Bytes>
struct ElementOf {
  typedef float Type;
};
template <>
struct ElementOf<2> {
  typedef BFloat16 Type;
};
template <>
struct ElementOf<1> {
  typedef signed char Type;
};
typedef ElementOf<WB_ELEMENT_BYTES>::Type Element;

WB_DEVICE float toFloat(float x) { return x; }
WB_DEVICE float toFloat(BFloat16 x) { return floatFromBits(unsigned(x.bits) << 16); }
WB_DEVICE float toFloat(signed char x) { return float(x); }

WB_DEVICE void assign(float &to, float value) { to = value; }
WB_DEVICE void assign(BFloat16 &to, float value) { to.bits = roundedBits(value); }
WB_DEVICE void assign(signed char &to, float value) { to = (signed char)(nearest(value)); }

/// Elements that one instruction loads or stores.
template <class T, int Count>
struct alignas(sizeof(T) * Count) Pack {
  T at[Count];
};

/// The sum over `Lanes` neighboring lanes of a warp; every lane gets it.
template <int Lanes = 32>
WB_DEVICE float sumOfLanes(float value) {
#pragma unroll
  for (int mask = Lanes / 2; mask > 0; mask /= 2) value += fromLane(value, mask);
  return value;
}

/// The maximum over the lanes of a warp.
WB_DEVICE float maximumOfLanes(float value) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) value = maximum(value, fromLane(value, mask));
  return value;
}

}  // namespace ckernels::cuda
