// Root-mean-square normalization of a head's channels and their rotation by the angles of the token's position, forward
// and backward.
#pragma once

#include "Layers/GradientSums.hpp"
#include "SIMD/Reductions.hpp"

namespace ckernels::CK_CODE {

/// The offset of a head's channels in x, and the angles that rotate it.
struct RotatedHead {
  Index at;
  const float *cosine, *sine;

  template <class Args>
  CK_INLINE RotatedHead(const Args &args, Index token, Index head)
      : at((token * args.heads + head) * args.head_size), cosine(args.cosine + token % args.period * args.head_size),
        sine(args.sine + token % args.period * args.head_size) {}
};

/// Normalizes and rotates a head; returns what its channels were multiplied by.
CK_INLINE float rotateHead(const ck_qk_norm_rope_args &args, const RotatedHead &head) {
  const Index half = args.head_size / 2;
  const float *x = args.x + head.at, *weight = args.weight;
  float *y = args.y + head.at;
  const float scale = 1.0f / std::sqrt(meanSquare(x, args.head_size) + args.epsilon);
  forEachRegister(0, half, [&](auto isPart, Index c, Index count) {
    const Index d = c + half;
    const Vector a = loadTile<isPart>(x + c, count) * loadTile<isPart>(weight + c, count) * scale;
    const Vector b = loadTile<isPart>(x + d, count) * loadTile<isPart>(weight + d, count) * scale;
    storeTile<isPart>(
        y + c, a * loadTile<isPart>(head.cosine + c, count) - b * loadTile<isPart>(head.sine + c, count), count);
    storeTile<isPart>(
        y + d, b * loadTile<isPart>(head.cosine + d, count) + a * loadTile<isPart>(head.sine + d, count), count);
  });
  return scale;
}

CK_INLINE void rotateToken(const ck_qk_norm_rope_args &args, Index token) {
  for (Index h = 0; h < args.heads; h++)
    args.scale[token * args.heads + h] = rotateHead(args, RotatedHead(args, token, h));
}

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

CK_INLINE void rotateBackHead(const ck_qk_norm_rope_backward_args &args, Index token, Index h, float *sums) {
  const RotatedHead head(args, token, h);
  const Index half = args.head_size / 2;
  const float scale = args.scale[token * args.heads + h];
  Vector along = 0.0f;
  forEachRegister(
      0, half, [&](auto isPart, Index c, Index count) { along += rotatedProjection<isPart>(args, head, c, count); });
  const float projection = sum(along) * scale * scale * scale / float(args.head_size);
  forEachRegister(0, half, [&](auto isPart, Index c, Index count) {
    const ChannelGradients g = rotateBack<isPart>(args, head, c, count);
    rotatedGradient<isPart>(args, sums, head.at, c, count, g.first, scale, projection);
    rotatedGradient<isPart>(args, sums, head.at, c + half, count, g.second, scale, projection);
  });
}

CK_INLINE void rotateBackToken(const ck_qk_norm_rope_backward_args &args, Index token, float *sums) {
  for (Index h = 0; h < args.heads; h++) rotateBackHead(args, token, h, sums);
}

inline bool qkNormRoPE(const ck_qk_norm_rope_args &args, int threads) {
  return forEachRow<rotateToken>(args, args.tokens, args.tokens * args.heads * args.head_size * 4, threads);
}

inline bool qkNormRoPEBackward(const ck_qk_norm_rope_backward_args &args, int threads) {
  const Index elements = args.tokens * args.heads * args.head_size;
  GradientRun<ck_qk_norm_rope_backward_args> run(args, args.tokens, elements * 8, args.head_size, threads);
  if (!run.memory) return false;
  run.forEachRow<rotateBackToken>();
  run.addTo(args.weight_gradient, args.head_size);
  return true;
}

}  // namespace ckernels::CK_CODE
