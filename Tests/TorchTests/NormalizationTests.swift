import TestSupport
import Testing
import WidebandTorch

@Suite struct NormalizationTests {
  let epsilon = 1e-5

  @Test func rmsNormByHand() throws {
    // The root-mean-square of (1, 7) is 5, of (-3, 3) it is 3.
    try expect([0.2, 2.8, -1, 2], shape: [2, 2]) {
      matrix([[1, 7], [-3, 3]]).rmsNorm(vector(1, 2), epsilon: 0)
    }
    try expect([0, 0]) { vector(0, 0).rmsNorm(vector(1, 1), epsilon: 1e-6) }
    try expect([1, 7].map { $0 / 26.0.squareRoot() }) { vector(1, 7).rmsNorm(vector(1, 1), epsilon: 1) }
  }

  @Test(arguments: [DType.float32, .bfloat16, .float16], [[2], [5], [64], [3, 24], [2, 3, 4, 17], [0, 8]])
  func rmsNormEqualsComposedOperators(_ dtype: DType, _ shape: [Int]) throws {
    let generator = try Generator(seed: 5)
    let width = shape.last ?? 1
    let (x, weight, direction) = try withTorch {
      (
        Tensor.normal(shape, standardDeviation: 3, from: generator).to(dtype),
        Tensor.normal([width], mean: 1, standardDeviation: 0.2, from: generator),
        Tensor.normal(shape, from: generator)
      )
    }
    let fused = try withTorch { x.rmsNorm(weight, epsilon: epsilon) }
    #expect(fused.dtype == dtype)
    let tolerance = dtype == .float32 ? 1e-6 : 0.003
    try expectEqual(fused, composedRMSNorm(x, weight), within: tolerance)

    let found = try gradients(of: [x, weight]) {
      ($0[0].rmsNorm($0[1], epsilon: epsilon).to(.float32) * direction).sum()
    }
    let expected = try gradients(of: [x.to(.float32), weight]) { try (composedRMSNorm($0[0], $0[1]) * direction).sum() }
    #expect(found[0].dtype == dtype)
    #expect(found[1].dtype == .float32)
    let gradientTolerance = dtype == .float32 ? 1e-5 : 0.01
    for (one, other) in zip(found, expected) { try expectEqual(one, other, within: gradientTolerance) }
  }

  @Test func rmsNormOfAView() throws {
    let x = try random(6, 4, 5)
    let weight = try random(4, seed: 2)
    let found = try gradients(of: [x, weight]) {
      $0[0].transposed().rmsNorm($0[1], epsilon: epsilon).power(2).sum()
    }
    let expected = try gradients(of: [x, weight]) { try composedRMSNorm($0[0].transposed(), $0[1]).power(2).sum() }
    for (one, other) in zip(found, expected) { try expectEqual(one, other, within: 1e-5) }
  }

  @Test func rmsNormGradientEqualsFiniteDifferences() throws {
    let x = try random(2, 5)
    let weight = try random(5, seed: 2)
    let direction = try random(2, 5, seed: 3)
    let found = try gradients(of: [x, weight]) { ($0[0].rmsNorm($0[1], epsilon: epsilon) * direction).sum() }
    try expectEqual(found[0], differences(x) { try (composedRMSNorm($0, weight) * direction).sum() }, within: 2e-6)
    try expectEqual(found[1], differences(weight) { try (composedRMSNorm(x, $0) * direction).sum() }, within: 2e-6)
  }

  @Test func rmsNormNamesShapesThatDoNotFit() {
    expectError("rms_norm(float32[2, 3], float32[4]): the weight does not fit the last axis") {
      _ = Tensor.zeros([2, 3]).rmsNorm(.ones([4]), epsilon: 1e-6)
    }
    expectError("rms_norm(float32[2, 3], float32[1]): the weight does not fit the last axis") {
      _ = Tensor.zeros([2, 3]).rmsNorm(.ones([1]), epsilon: 1e-6)
    }
  }

  @Test(arguments: [DType.float32, .bfloat16], [1, 2, 4])
  func groupNormEqualsItsFormula(_ dtype: DType, groups: Int) throws {
    let x = try withTorch { try random(3, 8).to(dtype) }
    let weight = try random(8, seed: 2)
    let bias = try random(8, seed: 3)
    let found = try withTorch { x.groupNorm(groups: groups, weight: weight, bias: bias, epsilon: epsilon) }
    #expect(found.dtype == dtype)
    let expected = try withTorch {
      let runs = x.to(.float64).reshaped(3, groups, 8 / groups)
      let centered = runs - runs.mean(-1, keep: true)
      let normal = centered / (centered.power(2).mean(-1, keep: true) + epsilon).squareRoot()
      return normal.reshaped(3, 8) * weight + bias
    }
    try expectEqual(found, expected, within: dtype == .float32 ? 1e-6 : 0.003)
  }

  private func composedRMSNorm(_ x: Tensor, _ weight: Tensor) throws -> Tensor {
    try withTorch {
      let wide = x.to(.float64)
      return wide / (wide.power(2).mean(-1, keep: true) + epsilon).squareRoot() * weight.to(.float64)
    }
  }

  /// The derivative of a scalar by central differences, one element at a time, in float64.
  private func differences(_ input: Tensor, of body: (Tensor) throws -> Tensor) throws -> Tensor {
    let step = 1e-5
    let values = try input.elements(Double.self)
    let slopes = try values.indices.map { index in
      let ends = try [step, -step].map { offset in
        var moved = values
        moved[index] += offset
        return try withTorch { try body(Tensor(moved, shape: input.shape)).item() }
      }
      return (ends[0] - ends[1]) / (2 * step)
    }
    return Tensor(slopes, shape: input.shape)
  }
}
