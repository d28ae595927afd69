// Root-mean-square normalization of rows. The program is that of a connection with one slot: the slot's channels are a row.
// Neighboring lanes of a warp share a row, and a lane has the same channels of every row. It reads them twice, the second time
// from the nearest cache.
#include "ConnectionLayout.cuh"
#include "Device.cuh"
#include "Numerics.cuh"
#include "StateRows.cuh"

namespace ckernels::cuda::norm {

constexpr int lanes = normLanes(C, vector);    ///< that share a row
constexpr int together = 32 / lanes;           ///< rows of a warp at once
constexpr int pieces = normPieces(C, vector);  ///< of `vector` channels, for a lane

/// visit(piece, c) for the channels of this lane.
template <class Visit>
WB_DEVICE void forEachPiece(Visit visit) {
#pragma unroll
  for (int piece = 0; piece < pieces; piece++) {
    const int c = (piece * lanes + threadIndex() % lanes) * vector;
    if (c < C) visit(piece, c);
  }
}

/// work(row, whether it exists) for the rows of this lane; all lanes of a warp iterate equally often.
template <class Work>
WB_DEVICE void forEachRow(long long rows, Work work) {
  const long long step = (long long)blockCount() * warps * together;
  const int own = threadIndex() % 32 / lanes;
  const long long start = ((long long)blockIndex() * warps + threadIndex() / 32) * together;
  for (long long first = start; first < rows; first += step) {
    const bool isThere = first + own < rows;
    work(isThere ? first + own : rows - 1, isThere);
  }
}

WB_DEVICE void forward(const NormArguments &arguments) {
  forEachRow(arguments.rows, [&](long long row, bool isThere) {
    const Element *x = static_cast<const Element *>(arguments.x) + row * C;
    float squares = 0.0f;
    forEachPiece([&](int, int c) {
      float values[vector];
      loadVector(x + c, values);
#pragma unroll
      for (int v = 0; v < vector; v++) squares += values[v] * values[v];
    });
    const float scale = inverseRoot(sumOfLanes<lanes>(squares) * (1.0f / float(C)) + arguments.epsilon);
    if (!isThere) return;
    if (threadIndex() % lanes == 0 && arguments.scale) arguments.scale[row] = scale;
    forEachPiece([&](int, int c) {
      float values[vector], weight[vector];
      loadVector(x + c, values);
      loadVector(arguments.weight + c, weight);
#pragma unroll
      for (int v = 0; v < vector; v++) values[v] *= scale * weight[v];
      storeVector(static_cast<Element *>(arguments.y) + row * C + c, values);
    });
  });
}

/// The warps of a block add the sums of their lanes to the block's sums, one after another in order.
WB_DEVICE void addUp(float (&sums)[pieces][vector], float *block) {
  float *total = reinterpret_cast<float *>(sharedMemory());
#pragma unroll
  for (int piece = 0; piece < pieces; piece++)
#pragma unroll
    for (int v = 0; v < vector; v++)
#pragma unroll
      for (int mask = lanes; mask < 32; mask *= 2) sums[piece][v] += fromLane(sums[piece][v], mask);
  for (int warp = 0; warp < warps; warp++) {
    if (threadIndex() / 32 == warp && threadIndex() % 32 < lanes)
      forEachPiece([&](int piece, int c) {
#pragma unroll
        for (int v = 0; v < vector; v++) total[c + v] = (warp ? total[c + v] : 0.0f) + sums[piece][v];
      });
    waitForBlock();
  }
  for (int c = threadIndex(); c < C; c += threads) block[c] = total[c];
}

WB_DEVICE void backward(const NormArguments &arguments) {
  float sums[pieces][vector] = {};
  forEachRow(arguments.rows, [&](long long row, bool isThere) {
    const Element *x = static_cast<const Element *>(arguments.x) + row * C;
    const Element *gradient = static_cast<const Element *>(arguments.yGradient) + row * C;
    const float scale = arguments.savedScale[row];
    float values[vector], upstream[vector], weight[vector];
    auto load = [&](int c) {
      loadVector(x + c, values);
      loadVector(gradient + c, upstream);
      loadVector(arguments.weight + c, weight);
    };
    float along = 0.0f;
    forEachPiece([&](int piece, int c) {
      load(c);
#pragma unroll
      for (int v = 0; v < vector; v++) {
        const float each = upstream[v] * values[v] * scale;
        along += each * weight[v];
        if (isThere) sums[piece][v] += each;
      }
    });
    along = sumOfLanes<lanes>(along) * (1.0f / float(C)) * scale;
    if (!isThere) return;
    forEachPiece([&](int, int c) {
      load(c);
#pragma unroll
      for (int v = 0; v < vector; v++) values[v] = scale * (upstream[v] * weight[v] - along * values[v]);
      storeVector(static_cast<Element *>(arguments.xGradient) + row * C + c, values);
    });
  });
  addUp(sums, arguments.sums + (long long)blockIndex() * C);
}

/// Adds the sums of all blocks, in their order, to the weight's gradient.
WB_DEVICE void addToGradients(const NormArguments &arguments) {
  for (int c = blockIndex() * threads + threadIndex(); c < C; c += blockCount() * threads) {
    float sum = 0.0f;
#pragma unroll 8
    for (int block = 0; block < arguments.blocks; block++) sum += arguments.sums[(long long)block * C + c];
    arguments.weightGradient[c] += sum;
  }
}

WB_KERNEL(512 / threads) normForward(const NormArguments arguments) { forward(arguments); }
WB_KERNEL(256 / threads) normBackward(const NormArguments arguments) { backward(arguments); }
WB_KERNEL(1) normAddToGradients(const NormArguments arguments) { addToGradients(arguments); }

}  // namespace ckernels::cuda::norm
