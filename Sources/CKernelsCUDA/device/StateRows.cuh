// Rows of the state: their elements, and moving them between the GPU's memory and shared memory.
namespace ckernels::cuda {

/// The kind of connection that this program is for.
constexpr Shape shape(WB_RATE, WB_SLOTS, WB_WIDTH, WB_ELEMENT_BYTES, WB_DYNAMIC);
constexpr int m = shape.m, n = shape.n, C = shape.C, columns = shape.columns(), mixed = shape.mixed();
constexpr int warps = shape.warps, threads = shape.threads(), vector = shape.vector();

/// `vector` elements as floats, in pieces of at most 16 bytes.
template <class T>
WB_DEVICE void loadVector(const T *from, float (&to)[vector]) {
  constexpr int piece = smaller(vector, 16 / int(sizeof(T)));
#pragma unroll
  for (int first = 0; first < vector; first += piece) {
    const Pack<T, piece> pack = *reinterpret_cast<const Pack<T, piece> *>(from + first);
#pragma unroll
    for (int i = 0; i < piece; i++) to[first + i] = toFloat(pack.at[i]);
  }
}

WB_DEVICE void storeVector(Element *to, const float (&from)[vector]) {
  Pack<Element, vector> pack;
#pragma unroll
  for (int i = 0; i < vector; i++) assign(pack.at[i], from[i]);
  *reinterpret_cast<Pack<Element, vector> *>(to) = pack;
}

WB_DEVICE Element *rowAt(unsigned char *rows, int index) {
  return reinterpret_cast<Element *>(rows + index * shape.row());
}
WB_DEVICE const Element *rowAt(const unsigned char *rows, int index) {
  return reinterpret_cast<const Element *>(rows + index * shape.row());
}

/// Starts to copy `Rows` rows of `Width` elements to shared memory, `stride` bytes apart. They are complete after
/// `waitForCopies` and `waitForBlock`.
template <int Rows, int Width>
WB_DEVICE void copyRows(unsigned char *shared, int stride, const Element *global) {
  constexpr int bytes = Width * int(sizeof(Element));
  if constexpr (bytes % 16 == 0) {
    for (int i = threadIndex(); i < Rows * (bytes / 16); i += threads)
      copyPrefetching(
          shared + i / (bytes / 16) * stride + i % (bytes / 16) * 16,
          reinterpret_cast<const unsigned char *>(global) + (long long)i * 16);
  } else {
    for (int i = threadIndex(); i < Rows * Width; i += threads)
      reinterpret_cast<Element *>(shared + i / Width * stride)[i % Width] = global[i];
  }
}

/// Writes `Rows` rows of channels from shared memory to the GPU's.
template <int Rows>
WB_DEVICE void storeRows(Element *global, const unsigned char *shared) {
  typedef Pack<Element, vector> Piece;
  for (int i = threadIndex(); i < Rows * (C / vector); i += threads)
    reinterpret_cast<Piece *>(global)[i] =
        *reinterpret_cast<const Piece *>(rowAt(shared, i / (C / vector)) + i % (C / vector) * vector);
}

/// Clears `bytes`, a multiple of 16 at a multiple of 16, of shared memory.
WB_DEVICE void clear(unsigned char *shared, int bytes) {
  for (int i = threadIndex(); i < bytes / 4; i += threads) reinterpret_cast<unsigned *>(shared)[i] = 0;
}

}  // namespace ckernels::cuda
