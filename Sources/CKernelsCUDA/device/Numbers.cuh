// Elements in memory: float32 or bfloat16, WB_ELEMENT_BYTES each, and loads and stores of several of them.
namespace ckernels {
namespace cuda {

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
typedef ElementOf<WB_ELEMENT_BYTES>::Type Element;

WB_DEVICE float toFloat(float x) { return x; }
WB_DEVICE float toFloat(BFloat16 x) { return floatFromBits(unsigned(x.bits) << 16); }

WB_DEVICE void assign(float &to, float value) { to = value; }
WB_DEVICE void assign(BFloat16 &to, float value) { to.bits = roundedBits(value); }

/// Elements that one instruction loads or stores.
template <class T, int Count>
struct alignas(sizeof(T) * Count) Pack {
  T at[Count];
};

}  // namespace cuda
}  // namespace ckernels
