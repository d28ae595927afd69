// Weights in the formats of `ck_weight_format`, loaded 16 bytes at a time and converted for multiplication.
namespace ckernels::cuda::product {

constexpr ProductShape shape(WB_FORMAT, WB_ELEMENT_BYTES, WB_ROWS);
constexpr int steps = shape.unitSteps();
constexpr int slabs = shape.unitColumns() / 32;  ///< of 32 columns, two steps of the tensor cores

/// 16 bytes of a row of the weight.
struct Piece {
  unsigned word[4];
};

/// Bytes of a weight; weights of four bits have none.
constexpr int storedBytes = 16 / shape.pieceColumns();

/// The bits of a weight, where weights are loaded one by one.
WB_DEVICE unsigned bitsAt(const unsigned char *row, int k) {
  if constexpr (shape.format == float32Format)
    return reinterpret_cast<const unsigned *>(row)[k];
  else if constexpr (shape.format == bfloat16Format)
    return reinterpret_cast<const unsigned short *>(row)[k];
  else
    return row[k];
}

/// The piece of a row from column k on, zero after the row's end.
WB_DEVICE Piece pieceAt(const unsigned char *row, int k, int inputs, bool isAligned) {
  Piece piece = {};
  if constexpr (shape.format == int4Format) {
    // A lane has the same word of a unit's four groups, which are interleaved with up to sixteen: rows are padded to whole
    // units.
    const int block = k / 512 * 512, groups = ceiling(inputs - block, 128) * 4;
    const int word = k % 128 / 32 * (groups < 16 ? groups : 16) + k % 512 / 128 * 4;
    if (k < ceiling(inputs, 128) * 128) loadOnce(piece.word, row + block / 2 + word * 4);
  } else if (isAligned) {
    if (k < inputs) loadOnce(piece.word, row + (long long)k * storedBytes);
  } else {
#pragma unroll
    for (int i = 0; i < shape.pieceColumns(); i++)
      if (k + i < inputs) piece.word[i * storedBytes / 4] |= bitsAt(row, k + i) << (i * storedBytes % 4 * 8);
  }
  return piece;
}

/// The scales of the four groups of a unit, two in a word.
struct Scales {
  unsigned word[2];

  WB_DEVICE float of(int group) const {
    const unsigned both = group < 2 ? word[0] : word[1];
    return floatFromBits(group % 2 ? both & 0xffff0000u : both << 16);
  }
};

WB_DEVICE Scales scalesAt(const unsigned short *row, int group, int groups) {
  Scales scales = {};
  if (groups % 4 == 0) {
    const Pack<unsigned, 2> pack = *reinterpret_cast<const Pack<unsigned, 2> *>(row + group);
    scales.word[0] = pack.at[0];
    scales.word[1] = pack.at[1];
  } else {
#pragma unroll
    for (int i = 0; i < 4; i++)
      if (group + i < groups) scales.word[i / 2] |= unsigned(row[group + i]) << (i % 2 * 16);
  }
  return scales;
}

/// A piece of adjacent weights: of four-bit weights each of four lanes has a word of every group before and a group after.
WB_DEVICE Piece neighbors(const Piece &piece) {
  Piece own = piece;
  if constexpr (shape.format == int4Format) {
    const int t = threadIndex() % 4;
#pragma unroll
    for (int mask = 1; mask < 4; mask *= 2)
#pragma unroll
      for (int i = 0; i < 4; i++)
        if (!(i & mask)) {
          const bool isUpper = t & mask;
          const unsigned other = wordFromLane(isUpper ? own.word[i] : own.word[i | mask], mask);
          own.word[i] = isUpper ? other : own.word[i];
          own.word[i | mask] = isUpper ? own.word[i | mask] : other;
        }
  }
  return own;
}

/// Weights 4 j to 4 j + 3 of adjacent ones, without their scale.
WB_DEVICE void quad(const Piece &piece, int j, float (&weights)[4]) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
    if constexpr (shape.format == float32Format) {
      weights[i] = floatFromBits(piece.word[i]);
    } else if constexpr (shape.format == bfloat16Format) {
      const unsigned word = piece.word[j * 2 + i / 2];
      weights[i] = floatFromBits(i % 2 ? word & 0xffff0000u : word << 16);
    } else if constexpr (shape.format == int8Format) {
      weights[i] = float((signed char)(piece.word[j] >> (8 * i)));
    } else {
      weights[i] = float(int(piece.word[j / 2] >> (8 * i + j % 2 * 4) & 15u) - 8);
    }
  }
}

// For tensor cores a unit becomes slabs of 32 columns, of which each lane has four pairs in bfloat16: eight columns whose
// index among the 32 is `placeOf`, so that rows of x in that order are loaded 16 bytes at a time too. A slab of integers is
// one group under one scale.

/// The index of column k of 32 in shared memory: lane t of four loads indices 8 t to 8 t + 7.
WB_DEVICE constexpr int placeOf(int k) {
  return !shape.usesTensorCores() || shape.format == bfloat16Format ? k
         : shape.format == float32Format                            ? k % 16 / 4 * 8 + k / 16 * 4 + k % 4
         : shape.format == int8Format                               ? k / 16 * 8 + k % 16 / 8 * 16 + k % 8
                                                                    : k / 8 * 8 + k % 2 * 4 + k % 8 / 4 * 2 + k % 4 / 2;
}

/// Two 8-bit integers, bytes 2 i and 2 i + 1 of a word, in bfloat16: 128 with the seven low bits in its mantissa, less 128
/// or, for a negative integer, 256.
WB_DEVICE unsigned pairOfBytes(unsigned word, int i) {
  const unsigned spread = chosenBytes(word, 0x43434343u, i ? 0x4342u : 0x4140u);
  return multiplyAddPairs(spread & 0xff80ff80u, 0xbf80bf80u, spread & 0xff7fff7fu);
}

/// Nibbles i and i + 4 of a word, less 8, in bfloat16.
WB_DEVICE unsigned pairOfNibbles(unsigned word, int i) {
  return multiplyAddPairs((word >> (4 * i) & 0x000f000fu) | 0x43004300u, 0x3f803f80u, 0xc308c308u);
}

WB_DEVICE void pairsOf(const Piece (&pieces)[steps], unsigned (&pairs)[slabs][4]) {
  if constexpr (shape.format == float32Format) {
#pragma unroll
    for (int i = 0; i < steps * 2; i++) {
      const unsigned *word = pieces[i / 2].word + i % 2 * 2;
      pairs[i / 4][i % 4] = roundedPair(floatFromBits(word[0]), floatFromBits(word[1]));
    }
  } else if constexpr (shape.format == bfloat16Format) {
#pragma unroll
    for (int i = 0; i < steps * 4; i++) pairs[i / 4][i % 4] = pieces[i / 4].word[i % 4];
  } else if constexpr (shape.format == int8Format) {
    const int t = threadIndex() % 4;
    // Lanes 0 and 1 have the first group of a step, 2 and 3 the second: they exchange halves.
#pragma unroll
    for (int step = 0; step < steps; step++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const unsigned early = pieces[step].word[i], late = pieces[step].word[i + 2];
        const unsigned other = wordFromLane(t < 2 ? late : early, 2);
#pragma unroll
        for (int half = 0; half < 2; half++) {
          pairs[step * 2][i * 2 + half] = pairOfBytes(t < 2 ? early : other, half);
          pairs[step * 2 + 1][i * 2 + half] = pairOfBytes(t < 2 ? other : late, half);
        }
      }
  } else {
#pragma unroll
    for (int i = 0; i < 16; i++) pairs[i / 4][i % 4] = pairOfNibbles(pieces[0].word[i / 4], i % 4);
  }
}

}  // namespace ckernels::cuda::product
