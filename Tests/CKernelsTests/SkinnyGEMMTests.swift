import TestSupport
import Testing
import WidebandCKernels
import WidebandTorch

/// Products of a few rows against float64, on every vector code.
@Suite struct SkinnyGEMMTests {
  @Test(arguments: ["avx512", "avx2", "portable"]) func kernelsMultiply(code: String) async {
    await #expect(processExitsWith: .success) { [code] in
      guard ck_use_vector_code(code) else { return }
      for inputs in Array(1...35) + [64, 1000] {
        for outputs in [1, 2, 3, 8, inputs == 1000 ? 301 : 5] {
          for rows in inputs.isMultiple(of: 7) ? Array(1...16) : [1, 2, 3, 8, 9] {
            let problem = try disagreement(rows, inputs, outputs)
            #expect(problem == nil, "[\(rows), \(inputs)] by \(outputs): \(problem ?? "")")
          }
        }
      }
    }
  }

  @Test func aRowIsTheSameAloneAndAmongOthers() throws {
    let random = try RandomTensors(seed: 3)
    let (x, weight) = (random.normal(16, 100), random.normal(33, 100))
    let all = try withTorch { x.linear(weight) }
    for row in 0..<16 {
      let (alone, among) = try withTorch {
        (x.slice(0, row..<(row + 1)).linear(weight), all.slice(0, row..<(row + 1)).contiguous())
      }
      #expect(try areIdentical(alone, among))
    }
  }

  @Test func aDerivativeTakesTheOrdinaryProduct() throws {
    let random = try RandomTensors(seed: 1)
    let (x, weight) = (random.normal(4, 6), random.normal(5, 6))
    let slopes = try gradients(of: [x, weight]) { $0[0].linear($0[1]).sum() }
    #expect(try relativeError(of: slopes[0], to: weight.sum(0, keep: true).expanded([4, 6])) < 1e-6)
    #expect(try relativeError(of: slopes[1], to: x.sum(0, keep: true).expanded([5, 6])) < 1e-6)
  }

  @Test func impossibleSizesAreRefused() {
    let (one, y) = (Memory(repeating: 1, count: 1), Memory(repeating: 7, count: 1))
    func isDone(_ rows: Int64, _ inputs: Int64, _ outputs: Int64) -> Bool {
      let matrix = ck_matrix(format: CK_FLOAT32, outputs: outputs, inputs: inputs, values: one.pointer, scales: nil)
      return multiply(ck_skinny_gemm, matrix, rows: rows, one.pointer, into: y.pointer)
    }
    #expect(!isDone(-1, 1, 1))
    #expect(!isDone(1, 0, 1))
    #expect(!isDone(1, 1, -1))
    #expect(isDone(0, 1, 1))
    #expect(y.elements == [7])
    #expect(
      message { _ = Tensor.zeros([2, 3]).linear(.zeros([4, 5])) }.hasPrefix("linear(float32[2, 3], float32[4, 5])"))
  }
}

private func disagreement(_ rows: Int, _ inputs: Int, _ outputs: Int) throws -> String? {
  let random = try RandomTensors(seed: UInt64(inputs))
  let (x, weight) = (random.normal(rows, inputs), random.normal(outputs, inputs))
  return try withTorch {
    let found = x.linear(weight)
    Machine.threadCount = 1
    defer { Machine.threadCount = 2 }
    if try !areIdentical(found, x.linear(weight)) { return "depends on the threads" }
    // A single sum may cancel, so that its error is measured by the size of what was summed.
    let exact = x.to(.float64).linear(weight.to(.float64))
    let error = try ((found.to(.float64) - exact).norm() / (x.norm() * weight.norm()).to(.float64)).item()
    return error <= 5e-7 ? nil : "an error of \(error)"
  }
}
