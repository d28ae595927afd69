// A mixture of experts' tokens: dispatched to the rows of their experts, and combined from them again.
#pragma once

#include "SIMD/Reductions.hpp"

namespace ckernels {
namespace CK_CODE {

template <class Args>
struct ExpertBatchRun {
  const Args &args;
  Shares shares;  ///< of the rows, or of the tokens

  ExpertBatchRun(const Args &args, Index pieces, int threads)
      : args(args), shares(usefulShares(pieces, pieces * args.width * 4, threads)) {}
};

template <bool Part>
CK_INLINE void dispatchStep(const float *x, float *y, Index at, Index count, float scale) {
  storeTile<Part>(y + at, loadTile<Part>(x + at, count) * scale, count);
}

inline void dispatchShare(void *context, int, int share) {
  const auto &run = *static_cast<const ExpertBatchRun<ck_expert_dispatch_args> *>(context);
  const ck_expert_dispatch_args &args = run.args;
  const Index width = Index(args.width), last = run.shares.first(share + 1);
  for (Index row = run.shares.first(share); row < last; row++) {
    float *y = args.expert_rows + row * width;
    const Index routedToken = Index(args.routed_tokens[row]);
    if (routedToken < 0) {
      std::fill_n(y, width, 0.0f);
      continue;
    }
    const float *x = args.x + routedToken / Index(args.per_token) * width;
    const float scale = args.scales ? args.scales[routedToken] : 1.0f;
    Index at = 0;
    for (; at + lanes <= width; at += lanes) dispatchStep<false>(x, y, at, 0, scale);
    if (at < width) dispatchStep<true>(x, y, at, width - at, scale);
  }
}

template <bool Part>
CK_INLINE void combineStep(const ck_expert_combine_args &args, Index token, Index at, Index count) {
  const Index perToken = Index(args.per_token), width = Index(args.width);
  Vector sum = 0.0f;
  for (Index routedToken = token * perToken; routedToken < (token + 1) * perToken; routedToken++) {
    const float scale = args.scales ? args.scales[routedToken] : 1.0f;
    sum += loadTile<Part>(args.expert_rows + Index(args.row_indices[routedToken]) * width + at, count) * scale;
  }
  storeTile<Part>(args.sums + token * width + at, sum, count);
}

inline void combineShare(void *context, int, int share) {
  const auto &run = *static_cast<const ExpertBatchRun<ck_expert_combine_args> *>(context);
  const Index width = Index(run.args.width), last = run.shares.first(share + 1);
  for (Index token = run.shares.first(share); token < last; token++) {
    Index at = 0;
    for (; at + lanes <= width; at += lanes) combineStep<false>(run.args, token, at, 0);
    if (at < width) combineStep<true>(run.args, token, at, width - at);
  }
}

inline void rowProductsShare(void *context, int, int share) {
  const auto &run = *static_cast<const ExpertBatchRun<ck_expert_row_products_args> *>(context);
  const ck_expert_row_products_args &args = run.args;
  const Index width = Index(args.width), perToken = Index(args.per_token), last = run.shares.first(share + 1);
  for (Index token = run.shares.first(share); token < last; token++)
    for (Index each = token * perToken; each < (token + 1) * perToken; each++)
      args.products[each] =
          innerProduct(args.x + token * width, args.expert_rows + Index(args.row_indices[each]) * width, width);
}

inline bool expertDispatch(const ck_expert_dispatch_args &args, int threads) {
  ExpertBatchRun<ck_expert_dispatch_args> run(args, args.rows, threads);
  forEachShare(run.shares, dispatchShare, &run);
  return true;
}

inline bool expertCombine(const ck_expert_combine_args &args, int threads) {
  ExpertBatchRun<ck_expert_combine_args> run(args, args.tokens, threads);
  forEachShare(run.shares, combineShare, &run);
  return true;
}

inline bool expertRowProducts(const ck_expert_row_products_args &args, int threads) {
  ExpertBatchRun<ck_expert_row_products_args> run(args, args.tokens, threads);
  forEachShare(run.shares, rowProductsShare, &run);
  return true;
}

}  // namespace CK_CODE
}  // namespace ckernels
