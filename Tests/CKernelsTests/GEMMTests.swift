import TestSupport
import Testing
import WidebandCKernels
import WidebandTorch

/// Products of many rows with weights in every format against float64, on every vector code.
@Suite struct GEMMTests {
  @Test(arguments: ["avx512", "avx2", "portable"]) func everyFormMultiplies(code: String) async {
    await #expect(processExitsWith: .success) { [code] in
      guard ck_use_vector_code(code) else { return }
      for inputs in [1, 7, 32, 33, 100, 130, 257, 1030, 2100] {
        for outputs in [1, 63, 65, 130] {
          for format in [CK_FLOAT32, CK_BFLOAT16, CK_INT8, CK_INT4] {
            let problem = try disagreement(format, outputs, inputs)
            #expect(problem == nil, "format \(format.rawValue), [\(outputs), \(inputs)]: \(problem ?? "")")
          }
        }
      }
    }
  }

  @Test func impossibleSizesAreRefused() {
    let memory = Memory(repeating: 1, count: 1)
    func isDone(_ rows: Int64, _ inputs: Int64, _ outputs: Int64, _ format: ck_weight_format = CK_FLOAT32) -> Bool {
      let y = Memory(repeating: 7, count: 1)
      let matrix = ck_matrix(format: format, outputs: outputs, inputs: inputs, values: memory.pointer, scales: nil)
      let isDone = multiply(ck_gemm, matrix, rows: rows, memory.pointer, into: y.pointer)
      #expect(y.elements == [isDone && rows > 0 && outputs > 0 ? 1 : 7])
      return isDone
    }
    #expect(isDone(1, 1, 1) && isDone(0, 1, 1) && isDone(1, 1, 0))
    #expect(!isDone(-1, 1, 1) && !isDone(1, 0, 1) && !isDone(1, 1, -1))
    #expect(!isDone(1, 1, 1, CK_INT8))
  }
}

private func disagreement(_ format: ck_weight_format, _ outputs: Int, _ inputs: Int) throws -> String? {
  let most = 130
  let weight = try EmulatedWeight(format, outputs: outputs, inputs: inputs, seed: UInt64(inputs), isRounded: false)
  let x = try Memory(RandomTensors(seed: 8).normal(most, inputs))
  func product(_ first: Int, _ rows: Int, threads: Int32 = 1) throws -> [Float] {
    let y = Memory(repeating: .nan, count: rows * outputs)
    guard
      multiply(
        ck_gemm, weight.matrix, rows: Int64(rows), x.pointer + first * inputs, into: y.pointer, threads: threads)
    else { throw TorchError("a possible size is refused") }
    return y.elements
  }
  let all = try product(0, most)
  for (first, rows) in [(0, 17), (107, 23), (99, 1), (5, 6)] {
    let alone = try product(first, rows)
    if alone != Array(all[(first * outputs)..<((first + rows) * outputs)]) { return "\(rows) rows differ from all" }
  }
  for threads: Int32 in [2, 3] where try product(0, most, threads: threads) != all {
    return "depends on the threads"
  }
  return try withTorch {
    let found = Tensor(all, shape: [most, outputs]).to(.float64)
    let left = Tensor(x.elements, shape: [most, inputs]).to(.float64)
    let right = Tensor(weight.floats, shape: [outputs, inputs]).to(.float64)
    let error = try ((found - left.matmul(right.transposed())).norm() / (left.norm() * right.norm())).item()
    return error <= 5e-7 ? nil : "an error of \(error)"
  }
}
