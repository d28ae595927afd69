import TestSupport
import Testing
import WidebandCKernels
import WidebandTorch

/// The fused norm with autograd against its formula in float64, on every vector code.
@Suite struct FusedNormTests {
  @Test(arguments: ["avx512", "avx2", "portable"]) func kernelsFollowTheFormula(code: String) async {
    await #expect(processExitsWith: .success) { [code] in
      guard ck_use_vector_code(code) else { return }
      Machine.threadCount = 1
      for width in Array(1...36) + [47, 48, 63, 64, 65, 127, 160, 1000] {
        for rows in [0, 1, 3, width == 64 ? 1000 : 5] {
          let problem = try disagreement(rows, width)
          #expect(problem == nil, "[\(rows), \(width)]: \(problem ?? "")")
        }
      }
    }
  }
}

/// The result and the gradients of x and weight.
private func norm(_ inputs: [Tensor], _ direction: Tensor, _ formula: (Tensor, Tensor) -> Tensor) throws -> [Tensor] {
  var result = direction
  let slopes = try gradients(of: inputs) { leaves in
    result = formula(leaves[0], leaves[1])
    return (result * direction).sum()
  }
  return [result.detached()] + slopes
}

private func disagreement(_ rows: Int, _ width: Int) throws -> String? {
  let random = try RandomTensors(seed: UInt64(width))
  let inputs = [random.normal(rows, width, deviation: 3), random.normal(width, around: 1, deviation: 0.3)]
  let direction = random.normal(rows, width)
  let fused = { (x: Tensor, weight: Tensor) in x.rmsNorm(weight, epsilon: 0.1) }
  let (first, second) = try (norm(inputs, direction, fused), norm(inputs, direction, fused))
  let exact = try norm(inputs.map { $0.to(.float64) }, direction) { x, weight in
    x / ((x * x).mean(-1, keep: true) + 0.1).squareRoot() * weight
  }
  for (index, name) in ["result", "gradient of x", "gradient of the weight"].enumerated() {
    if try !areIdentical(first[index], second[index]) { return "\(name) differs from run to run" }
    let error = try relativeError(of: first[index], to: exact[index])
    if !(error <= (index == 0 ? 2e-6 : 1e-4)) { return "\(name) has a relative error of \(error)" }
  }
  return nil
}
