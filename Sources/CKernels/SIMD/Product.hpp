// A small matrix product whose sums are held in registers, a tile at a time: most of the arithmetic of the kernels.
#pragma once

#include "SIMD/BlockPrefetch.hpp"

namespace ckernels::CK_CODE {

/// One term of a product: element (i, c) gains the sum over k < count of left(i, k) * right(k, c), where
/// left(i, k) = left[i * leftRow + k * leftInner] and right(k, c) = right[k * rightRow + c].
struct Term {
  const float *left;
  Index leftRow, leftInner;
  const float *right;
  Index rightRow;
  Index count;
};

/// out(i, c) = [out(i, c) +] [diagonal(i) * base(i, c) +] the sum of up to three terms, for i < rows, c < columns.
struct Product {
  float *out;
  Index outRow;
  Index rows, columns;
  bool accumulates;
  int termCount;
  Term terms[3];
  const float *diagonal;
  const float *base;
  Index baseRow;
  BlockPrefetch *prefetch;  ///< advanced within the product, unless null
};

// Rows in a tile for a width of 1, 2, 3 and 4 registers: 24 sums where there are 32 registers, 12 where there are 16.
constexpr int registersWide = CK_REGISTERS == 32 ? 4 : 2;
constexpr int tileRows(int width) {
  if (CK_REGISTERS == 32) return width == 1 ? 16 : 24 / width;
  return width == 1 ? 8 : 12 / width;
}

// Independent multiplications that a processor starts while one completes.
constexpr int fewSums = 4;

/// The addresses of the next left factors of a tile's rows. With many rows that are not adjacent there is one address for
/// every four rows: computed from a single address, each would depend on the one before.
template <int Rows, bool UnitRow>
struct LeftRows {
  static constexpr int reached = UnitRow || Rows <= 8 ? Rows : 4;
  const float *first[(Rows + reached - 1) / reached];
  Index step;

  CK_INLINE LeftRows(const Term &term, Index row) : step(UnitRow ? 1 : term.leftRow) {
    CK_UNROLL
    for (int i = 0; i < Rows; i += reached) {
      first[i / reached] = term.left + (row + i) * step;
      // Keeps the compiler from computing one address from another.
      if (Rows > reached) asm("" : "+r"(first[i / reached]));
    }
  }

  CK_INLINE float operator[](int i) const { return first[i / reached][i % reached * step]; }

  CK_INLINE void advance(Index by) {
    CK_UNROLL
    for (int i = 0; i < Rows; i += reached) first[i / reached] += by;
  }
};

template <int Rows, int Width, bool Part, bool UnitRow>
CK_INLINE void addTerm(
    Vector (&sums)[Rows][Width], const Term &term, Index row, Index column, Index part, BlockPrefetch *prefetch) {
  LeftRows<Rows, UnitRow> left(term, row);
  const float *right = term.right + column;
  const Index inner = term.leftInner, rightRow = term.rightRow;
  // A tile whose speed is limited by loads does not prefetch.
  constexpr bool fetches = Rows + Width + 2 <= Rows * Width;
  BlockPrefetch::Stream stream = fetches && prefetch ? prefetch->take(term.count) : BlockPrefetch::Stream::none(right);
  auto add = [&](Vector(&to)[Rows][Width]) __attribute__((always_inline)) {
    if constexpr (fetches) stream.step();
    Vector r[Width];
    CK_UNROLL
    for (int w = 0; w < Width; w++) r[w] = loadTile<Part>(right + w * lanes, part);
    CK_UNROLL
    for (int i = 0; i < Rows; i++) {
      const Vector l = left[i];
      CK_UNROLL
      for (int w = 0; w < Width; w++) to[i][w] += l * r[w];
    }
    left.advance(inner);
    right += rightRow;
  };
  Index k = term.count;
  if constexpr (Rows * Width <= fewSums) {
    // With few sums each addition would wait for the one before: a second set of sums takes every other term.
    Vector others[Rows][Width] = {};
    for (; k > 1; k -= 2) {
      add(sums);
      add(others);
    }
    forEachOf<Rows, Width>([&](int i, int w) { sums[i][w] += others[i][w]; });
  }
  for (; k > 0; k--) add(sums);
}

/// One tile; with Part (and a width of 1) it has `part` < lanes columns.
template <int Rows, int Width, bool Part>
void tile(const Product &product, Index row, Index column, Index part) {
  Vector sums[Rows][Width] = {};
  for (int t = 0; t < product.termCount; t++) {
    if (product.terms[t].leftRow == 1)
      addTerm<Rows, Width, Part, true>(sums, product.terms[t], row, column, part, product.prefetch);
    else
      addTerm<Rows, Width, Part, false>(sums, product.terms[t], row, column, part, product.prefetch);
  }
  if (product.diagonal) {
    forEachOf<Rows, Width>([&](int i, int w) {
      sums[i][w] += product.diagonal[row + i] *
                    loadTile<Part>(product.base + (row + i) * product.baseRow + column + w * lanes, part);
    });
  }
  forEachOf<Rows, Width>([&](int i, int w) {
    float *out = product.out + (row + i) * product.outRow + column + w * lanes;
    if (product.accumulates) sums[i][w] += loadTile<Part>(out, part);
    storeTile<Part>(out, sums[i][w], part);
  });
}

using Tile = void (*)(const Product &, Index row, Index column, Index part);

template <int Width, bool Part, std::size_t... R>
constexpr std::array<Tile, sizeof...(R)> makeTiles(std::index_sequence<R...>) {
  return {tile<int(R) + 1, Width, Part>...};
}

template <int Width>
constexpr Index tilesIn(Index rows) {
  return (rows + tileRows(Width) - 1) / tileRows(Width);
}

/// All rows of one strip of columns, in tiles of nearly equal height.
template <int Width, bool Part>
void strip(const Product &product, Index column, Index part) {
  constexpr auto tiles = makeTiles<Width, Part>(std::make_index_sequence<std::size_t(tileRows(Width))>());
  Index row = 0;
  for (Index left = tilesIn<Width>(product.rows); left > 0; left--) {
    const Index height = (product.rows - row + left - 1) / left;
    tiles[std::size_t(height - 1)](product, row, column, part);
    row += height;
  }
}

CK_INLINE void compute(const Product &product) {
  constexpr Index wide = registersWide * lanes;
  Index column = 0;
  for (; column + wide <= product.columns; column += wide) strip<registersWide, false>(product, column, 0);
  const Index left = product.columns - column, registers = left / lanes, part = left % lanes;
  switch (registers) {
    case 3: strip<registersWide == 4 ? 3 : 1, false>(product, column, 0); break;
    case 2: strip<2, false>(product, column, 0); break;
    case 1: strip<1, false>(product, column, 0); break;
    default: break;
  }
  if (part > 0) strip<1, true>(product, column + registers * lanes, part);
}

}  // namespace ckernels::CK_CODE
