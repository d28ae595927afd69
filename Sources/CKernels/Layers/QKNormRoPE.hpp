// Root-mean-square normalization of a head's channels and their rotation by the angles of the token's position, forward
// and backward.
#pragma once

#include "Layers/GradientSums.hpp"
#include "SIMD/Reductions.hpp"

namespace ckernels {
namespace CK_CODE {

/// The offset of a head's channels in x, and the angles that rotate it.
struct RotatedHead {
  Index at;
  const float *cosine, *sine;

  template <class Args>
  CK_INLINE RotatedHead(const Args &args, Index token, Index head)
      : at((token * args.heads + head) * args.head_size), cosine(args.cosine + token % args.period * args.head_size),
        sine(args.sine + token % args.period * args.head_size) {}
};

struct QKNormRoPERun {
  const ck_qk_norm_rope_args &args;
  Shares shares;  ///< of the tokens
};

/// Channels c and c + d/2 of a head, normalized and rotated.
template <bool Part>
CK_INLINE void rotateStep(
    const ck_qk_norm_rope_args &args, const RotatedHead &head, Index c, Index count, float scale) {
  const Index half = args.head_size / 2, d = c + half;
  const Vector a = loadTile<Part>(args.x + head.at + c, count) * loadTile<Part>(args.weight + c, count) * scale;
  const Vector b = loadTile<Part>(args.x + head.at + d, count) * loadTile<Part>(args.weight + d, count) * scale;
  storeTile<Part>(
      args.y + head.at + c, a * loadTile<Part>(head.cosine + c, count) - b * loadTile<Part>(head.sine + c, count),
      count);
  storeTile<Part>(
      args.y + head.at + d, b * loadTile<Part>(head.cosine + d, count) + a * loadTile<Part>(head.sine + d, count),
      count);
}

inline void qkNormRoPEShare(void *context, int, int share) {
  const QKNormRoPERun &run = *static_cast<const QKNormRoPERun *>(context);
  const ck_qk_norm_rope_args &args = run.args;
  const Index half = args.head_size / 2, last = run.shares.first(share + 1);
  for (Index token = run.shares.first(share); token < last; token++)
    for (Index h = 0; h < args.heads; h++) {
      const RotatedHead head(args, token, h);
      const float scale = 1.0f / std::sqrt(meanSquare(args.x + head.at, args.head_size) + args.epsilon);
      args.scale[token * args.heads + h] = scale;
      Index c = 0;
      for (; c + lanes <= half; c += lanes) rotateStep<false>(args, head, c, 0, scale);
      if (c < half) rotateStep<true>(args, head, c, half - c, scale);
    }
}

struct QKNormRoPEBackwardRun {
  const ck_qk_norm_rope_backward_args &args;
  Shares shares;  ///< of the tokens
  GradientSums sums;
};

/// The gradients of channels c and c + d/2 before their rotation.
struct ChannelGradients {
  Vector first, second;
};

template <bool Part>
CK_INLINE ChannelGradients
rotateBack(const ck_qk_norm_rope_backward_args &args, const RotatedHead &head, Index c, Index count) {
  const Index d = c + args.head_size / 2;
  const Vector first = loadTile<Part>(args.y_gradient + head.at + c, count);
  const Vector second = loadTile<Part>(args.y_gradient + head.at + d, count);
  return {
      first * loadTile<Part>(head.cosine + c, count) + second * loadTile<Part>(head.sine + d, count),
      second * loadTile<Part>(head.cosine + d, count) - first * loadTile<Part>(head.sine + c, count)};
}

/// x * gradient * weight: its sum along the head gives the gradient of the scale.
template <bool Part>
CK_INLINE Vector
rotatedProjection(const ck_qk_norm_rope_backward_args &args, const RotatedHead &head, Index c, Index count) {
  const Index d = c + args.head_size / 2;
  const ChannelGradients g = rotateBack<Part>(args, head, c, count);
  return loadTile<Part>(args.x + head.at + c, count) * g.first * loadTile<Part>(args.weight + c, count) +
         loadTile<Part>(args.x + head.at + d, count) * g.second * loadTile<Part>(args.weight + d, count);
}

template <bool Part>
CK_INLINE void rotatedGradient(
    const ck_qk_norm_rope_backward_args &args, float *sums, Index at, Index c, Index count, Vector gradient,
    float scale, float projection) {
  const Vector x = loadTile<Part>(args.x + at + c, count), g = gradient * scale;
  storeTile<Part>(args.x_gradient + at + c, g * loadTile<Part>(args.weight + c, count) - x * projection, count);
  storeTile<Part>(sums + c, loadTile<Part>(sums + c, count) + g * x, count);
}

template <bool Part>
CK_INLINE void rotateBackStep(
    const ck_qk_norm_rope_backward_args &args, float *sums, const RotatedHead &head, Index c, Index count, float scale,
    float projection) {
  const ChannelGradients g = rotateBack<Part>(args, head, c, count);
  rotatedGradient<Part>(args, sums, head.at, c, count, g.first, scale, projection);
  rotatedGradient<Part>(args, sums, head.at, c + args.head_size / 2, count, g.second, scale, projection);
}

CK_INLINE void rotateBackHead(const ck_qk_norm_rope_backward_args &args, float *sums, Index token, Index h) {
  const RotatedHead head(args, token, h);
  const Index half = args.head_size / 2;
  const float scale = args.scale[token * args.heads + h];
  Vector along = 0.0f;
  Index c = 0;
  for (; c + lanes <= half; c += lanes) along += rotatedProjection<false>(args, head, c, 0);
  if (c < half) along += rotatedProjection<true>(args, head, c, half - c);
  const float projection = sum(along) * scale * scale * scale / float(args.head_size);
  for (c = 0; c + lanes <= half; c += lanes) rotateBackStep<false>(args, sums, head, c, 0, scale, projection);
  if (c < half) rotateBackStep<true>(args, sums, head, c, half - c, scale, projection);
}

inline void qkNormRoPEBackwardShare(void *context, int, int share) {
  const QKNormRoPEBackwardRun &run = *static_cast<const QKNormRoPEBackwardRun *>(context);
  const ck_qk_norm_rope_backward_args &args = run.args;
  float *total = run.sums.total(share), *latest = run.sums.latest(share);
  std::fill_n(total, run.sums.stride, 0.0f);
  const Index last = run.shares.first(share + 1);
  for (Index token = run.shares.first(share); token < last;) {
    std::fill_n(latest, run.sums.stride, 0.0f);
    const Index end = std::min(token + rowsTogether, last);
    for (; token < end; token++)
      for (Index h = 0; h < args.heads; h++) rotateBackHead(args, latest, token, h);
    for (Index c = 0; c < args.head_size; c++) total[c] += latest[c];
  }
}

inline bool qkNormRoPE(const ck_qk_norm_rope_args &args, int threads) {
  const Index elements = args.tokens * args.heads * args.head_size;
  QKNormRoPERun run{args, usefulShares(args.tokens, elements * 4, threads)};
  forEachShare(run.shares, qkNormRoPEShare, &run);
  return true;
}

inline bool qkNormRoPEBackward(const ck_qk_norm_rope_backward_args &args, int threads) {
  const Index elements = args.tokens * args.heads * args.head_size;
  QKNormRoPEBackwardRun run{args, usefulShares(args.tokens, elements * 8, threads), GradientSums(args.head_size)};
  if (!run.sums.allocate(run.shares)) return false;
  forEachShare(run.shares, qkNormRoPEBackwardShare, &run);
  run.sums.addTo(args.weight_gradient, run.shares, args.head_size);
  return true;
}

}  // namespace CK_CODE
}  // namespace ckernels
