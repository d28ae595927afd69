// Tokens of a mixture of experts: dispatched to the rows of their experts, and combined from them again.
#pragma once

#include "SIMD/Reductions.hpp"

namespace ckernels::CK_CODE {

CK_INLINE void dispatchRow(const ck_expert_dispatch_args &args, Index row) {
  const Index width = args.width, routedToken = args.routed_tokens[row];
  float *y = args.expert_rows + row * width;
  if (routedToken < 0) {
    std::fill_n(y, width, 0.0f);
    return;
  }
  const float *x = args.x + routedToken / args.per_token * width;
  const float scale = args.scales ? args.scales[routedToken] : 1.0f;
  forEachRegister(0, width, [&](auto isPart, Index c, Index count) {
    storeTile<isPart>(y + c, loadTile<isPart>(x + c, count) * scale, count);
  });
}

CK_INLINE void combineRows(const ck_expert_combine_args &args, Index token) {
  const Index width = args.width, first = token * args.per_token, last = first + args.per_token;
  forEachRegister(0, width, [&](auto isPart, Index c, Index count) {
    Vector sum = 0.0f;
    for (Index routedToken = first; routedToken < last; routedToken++) {
      const float scale = args.scales ? args.scales[routedToken] : 1.0f;
      sum += loadTile<isPart>(args.expert_rows + args.row_indices[routedToken] * width + c, count) * scale;
    }
    storeTile<isPart>(args.sums + token * width + c, sum, count);
  });
}

CK_INLINE void multiplyRows(const ck_expert_row_products_args &args, Index token) {
  const Index width = args.width, first = token * args.per_token, last = first + args.per_token;
  for (Index routedToken = first; routedToken < last; routedToken++)
    args.products[routedToken] =
        innerProduct(args.x + token * width, args.expert_rows + args.row_indices[routedToken] * width, width);
}

inline bool expertDispatch(const ck_expert_dispatch_args &args, int threads) {
  return forEachRow<dispatchRow>(args, args.rows, args.rows * args.width * 4, threads);
}

inline bool expertCombine(const ck_expert_combine_args &args, int threads) {
  return forEachRow<combineRows>(args, args.tokens, args.tokens * args.width * 4, threads);
}

inline bool expertRowProducts(const ck_expert_row_products_args &args, int threads) {
  return forEachRow<multiplyRows>(args, args.tokens, args.tokens * args.width * 4, threads);
}

}  // namespace ckernels::CK_CODE
