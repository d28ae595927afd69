// What Device.cuh offers, on the processor. Included once for every program, inside its namespace.

#define WB_DEVICE inline
#define WB_KERNEL(blocks) inline void
#define WB_ARGUMENTS const

namespace ckernels::cuda {

WB_DEVICE int threadIndex() { return emulation::threadIndex(); }
WB_DEVICE int blockIndex() { return emulation::blockIndex(); }
WB_DEVICE int blockCount() { return emulation::blockCount(); }
WB_DEVICE unsigned char *sharedMemory() { return emulation::sharedMemory(); }
WB_DEVICE void waitForBlock() { emulation::waitForBlock(); }
WB_DEVICE void waitForWarp() { emulation::waitForWarp(); }

WB_DEVICE float floatFromBits(unsigned bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
WB_DEVICE unsigned bitsOf(float x) {
  unsigned bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

WB_DEVICE unsigned wordFromLane(unsigned word, int mask) {
  int turn;
  emulation::Board &board = emulation::board(turn);
  const int lane = threadIndex() % 32;
  board.words[turn][lane][0] = word;
  waitForWarp();
  return board.words[turn][lane ^ mask][0];
}
WB_DEVICE float fromLane(float value, int mask) { return floatFromBits(wordFromLane(bitsOf(value), mask)); }

WB_DEVICE float inverseRoot(float x) { return 1.0f / std::sqrt(x); }
WB_DEVICE float exactTanh(float x) { return std::tanh(x); }
WB_DEVICE float quickTanh(float x) { return std::tanh(x); }

WB_DEVICE float maximum(float a, float b) { return std::fmax(a, b); }
WB_DEVICE float magnitude(float x) { return std::fabs(x); }
WB_DEVICE float nearest(float x) { return std::nearbyint(x); }
WB_DEVICE float powerOfTwo(float x) { return std::exp2(x); }

WB_DEVICE unsigned short roundedBits(float x) {
  const unsigned bits = bitsOf(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return (unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
WB_DEVICE unsigned roundedPair(float first, float second) {
  return roundedBits(first) | unsigned(roundedBits(second)) << 16;
}

WB_DEVICE unsigned chosenBytes(unsigned a, unsigned b, unsigned selector) {
  const std::uint64_t both = a | std::uint64_t(b) << 32;
  unsigned chosen = 0;
  for (int i = 0; i < 4; i++) chosen |= unsigned(both >> (8 * (selector >> (4 * i) & 7)) & 0xff) << (8 * i);
  return chosen;
}

WB_DEVICE unsigned multiplyAddPairs(unsigned a, unsigned b, unsigned c) {
  auto half = [](unsigned word, int which) { return floatFromBits(which ? word & 0xffff0000u : word << 16); };
  return roundedPair(half(a, 0) * half(b, 0) + half(c, 0), half(a, 1) * half(b, 1) + half(c, 1));
}

/// A GPU's loads of 16 bytes begin at multiples of that.
WB_DEVICE void loadOnce(unsigned (&word)[4], const void *global) {
  if (reinterpret_cast<std::uintptr_t>(global) % 16 != 0) std::abort();
  std::memcpy(word, global, 16);
}

WB_DEVICE float fromOtherBlocks(const float *global) { return *global; }
WB_DEVICE void publish() {}
WB_DEVICE int countUp(int *counter) { return (*counter)++; }

/// Copies are late: what has not been waited for is not there. They run when the thread waits for them.
struct Copies {
  std::vector<std::pair<void *, const void *>> groups[3];
};
WB_DEVICE Copies &copies() {
  thread_local std::map<int, Copies> all;
  return all[threadIndex()];
}
WB_DEVICE void copyPrefetching(void *shared, const void *global) { copies().groups[0].push_back({shared, global}); }
WB_DEVICE void endCopies() {
  auto &groups = copies().groups;
  groups[2].insert(groups[2].end(), groups[1].begin(), groups[1].end());
  groups[1] = groups[0];
  groups[0].clear();
}
template <int Pending>
WB_DEVICE void waitForCopies() {
  auto &groups = copies().groups;
  for (int group = 2; group > Pending; group--) {
    for (auto &copy : groups[group]) std::memcpy(copy.first, copy.second, 16);
    groups[group].clear();
  }
}

/// Lane i receives of each matrix the row i / 4, columns 2 (i % 4) and the next one; transposed, the other way round.
WB_DEVICE void exchangeRows(unsigned (&r)[4], const void *row, bool transposes) {
  int turn;
  emulation::Board &board = emulation::board(turn);
  const int lane = threadIndex() % 32;
  if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0) std::abort();
  board.rows[turn][lane] = row;
  std::memcpy(board.words[turn][lane], row, 16);
  waitForWarp();
  for (int matrix = 0; matrix < 4; matrix++) {
    auto element = [&](int i, int j) {
      return unsigned(reinterpret_cast<const unsigned short *>(board.words[turn][matrix * 8 + i])[j]);
    };
    const int a = lane / 4, b = lane % 4 * 2;
    r[matrix] = transposes ? element(b, a) | element(b + 1, a) << 16 : element(a, b) | element(a, b + 1) << 16;
  }
}
WB_DEVICE void loadMatrices(unsigned (&r)[4], const void *row) { exchangeRows(r, row, false); }
WB_DEVICE void loadTransposed(unsigned (&r)[4], const void *row) { exchangeRows(r, row, true); }

WB_DEVICE void multiplyAdd(float (&d)[4], const unsigned (&a)[4], const unsigned *b) {
  int turn;
  emulation::Board &board = emulation::board(turn);
  const int lane = threadIndex() % 32;
  for (int i = 0; i < 4; i++) board.words[turn][lane][i] = a[i];
  board.words[turn][lane][4] = b[0];
  board.words[turn][lane][5] = b[1];
  waitForWarp();
  auto half = [](unsigned word, int which) { return floatFromBits(which ? word & 0xffff0000u : word << 16); };
  // Element (row, k) of a and (k, column) of b, by the layout of mma.m16n8k16.
  auto left = [&](int row, int k) {
    return half(board.words[turn][row % 8 * 4 + k % 8 / 2][row / 8 + k / 8 * 2], k % 2);
  };
  auto right = [&](int k, int column) { return half(board.words[turn][column * 4 + k % 8 / 2][4 + k / 8], k % 2); };
  for (int i = 0; i < 4; i++) {
    const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
    for (int k = 0; k < 16; k++) d[i] += left(row, k) * right(k, column);
  }
}

}  // namespace ckernels::cuda
