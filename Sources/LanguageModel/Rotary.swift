import WidebandTorch

/// Rotary position embedding: pairs of channels are rotated by angles proportional to the position.
///
/// Source: RoFormer, arXiv 2104.09864; channel i is paired with channel i + hd/2, as in Qwen3.
enum Rotary {
  /// cos and sin `[1 or B, T, 1, hd]` of the angles in float32, for integer positions `[T]` or `[B, T]`. The second
  /// half of the channels repeats the first.
  ///
  /// Angles are computed in float64: at large positions the rounding of float32 exceeds a full rotation's fraction.
  static func tables(_ positions: Tensor, headSize: Int, theta: Double) -> (cos: Tensor, sin: Tensor) {
    if let fused = Tensor.fusedRotaryTables(positions, headSize: headSize, theta: theta) { return fused }
    let steps = Tensor.range(0..<headSize, by: 2, .float64, on: positions.device)
    let frequencies = Tensor.power(theta, steps * (-1 / Double(headSize)))
    let rows = positions.rank == 1 ? positions.unsqueezed(0) : positions
    let half = rows.to(.float64).unsqueezed(-1) * frequencies
    let angles = Tensor.concatenate([half, half], axis: -1).unsqueezed(2)
    return (angles.cos().to(.float32), angles.sin().to(.float32))
  }

  /// x `[B, T, H, hd]` rotated by the angles of its positions.
  static func rotate(_ x: Tensor, _ tables: (cos: Tensor, sin: Tensor)) -> Tensor {
    let half = x.size(-1) / 2
    let rotated = Tensor.concatenate([-x.slice(-1, half...), x.slice(-1, 0..<half)], axis: -1)
    return x * tables.cos.to(x.dtype) + rotated * tables.sin.to(x.dtype)
  }
}
