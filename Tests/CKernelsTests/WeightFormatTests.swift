import TestSupport
import Testing
import WidebandCKernels
import WidebandTorch

/// Products and rows of weights in every format against float64, on every vector code.
@Suite struct WeightFormatTests {
  @Test(arguments: ["avx512vnni", "avx512", "avx2", "portable"]) func everyFormMultiplies(code: String) async {
    await #expect(processExitsWith: .success) { [code] in
      guard ck_use_vector_code(code) else { return }
      let widths = [15, 16, 31, 32, 33, 64, 100, 127, 128, 129, 160, 255, 256, 257, 300, 511, 512, 513, 700, 900, 1024]
      for inputs in Array(1...9) + widths {
        for outputs in [1, 2, 3, 5, 13] {
          for rows in inputs == 100 || inputs == 160 ? Array(1...18) : [1, 2, 4, 8, 9] {
            for format in WeightFormat.allCases {
              let problem = try disagreement(format, rows, inputs, outputs)
              #expect(problem == nil, "\(format) [\(rows), \(inputs)] by \(outputs): \(problem ?? "")")
            }
          }
        }
      }
    }
  }

  @Test func fourBitsMeetActivationsOfSixteen() throws {
    let random = try RandomTensors(seed: 8)
    let (x, weight) = (random.normal(4, 1030), try WeightFormat.int4.matrix(random.normal(300, 1030)))
    let (found, exact) = try withTorch {
      (x.linear(weight), x.to(.float64).matmul(weight.floats.to(.float64).transposed()))
    }
    let error = try relativeError(of: found, to: exact)
    #expect(error > 1e-6 && error < 3e-5)
  }

  @Test func eightBitsMeetActivationsOfSixteenWithoutAVX512() async {
    await #expect(processExitsWith: .success) {
      let random = try RandomTensors(seed: 8)
      let (x, weight) = (random.normal(4, 1030), try WeightFormat.int8.matrix(random.normal(300, 1030)))
      for code in ["avx512vnni", "avx512", "avx2", "portable"] where ck_use_vector_code(code) {
        let (found, exact) = try withTorch {
          (x.linear(weight), x.to(.float64).matmul(weight.floats.to(.float64).transposed()))
        }
        let error = try relativeError(of: found, to: exact)
        #expect(code == "avx2" ? error > 1e-6 && error < 3e-5 : error < 1e-6, "\(code): \(error)")
      }
    }
  }

  @Test func eightBitsHideNothingWithoutAVX512() async {
    await #expect(processExitsWith: .success) {
      guard ck_use_vector_code("avx2") else { return }
      let weight = try WeightFormat.int8.matrix(RandomTensors(seed: 9).normal(3, 300))
      for extreme: Float in [.nan, .infinity, 1e37, 1e-37, 0] {
        for place in [130, 299] {
          let (found, exact) = try withTorch {
            let x = Tensor((0..<300).map { $0 == place ? extreme : 0 }, shape: [1, 300])
            return (x.linear(weight), x.matmul(weight.floats.transposed()))
          }
          if extreme > 1, extreme.isFinite {
            #expect(try relativeError(of: found, to: exact) < 1e-6)
          } else {
            #expect(try found.elements(Float.self).allSatisfy { extreme.isFinite ? $0 == 0 : !$0.isFinite })
          }
        }
      }
    }
  }

  @Test(arguments: [Float.nan, .infinity, 1e37, 1e-37, 0]) func fourBitsHideNothing(extreme: Float) throws {
    let weight = try WeightFormat.int4.matrix(RandomTensors(seed: 9).normal(3, 256))
    let (found, exact) = try withTorch {
      let x = Tensor((0..<256).map { $0 == 130 ? extreme : 0 }, shape: [1, 256])
      return (x.linear(weight), x.matmul(weight.floats.transposed()))
    }
    if extreme > 1, extreme.isFinite {
      #expect(try relativeError(of: found, to: exact) < 1e-6)
    } else {
      // Numbers so small become zero; what is no number stays none.
      #expect(try found.elements(Float.self).allSatisfy { extreme.isFinite ? $0 == 0 : !$0.isFinite })
    }
  }

  @Test(arguments: WeightFormat.allCases) func manyRowsGoThroughPartsOfTheWeight(format: WeightFormat) throws {
    // More weights than one part holds, and a row too few for the last one.
    let problem = try disagreement(format, 40, 1030, 1100)
    #expect(problem == nil, "\(problem ?? "")")
  }

  @Test(arguments: WeightFormat.allCases) func aRowIsTheSameAloneAndAmongOthers(format: WeightFormat) throws {
    let random = try RandomTensors(seed: 3)
    let (x, weight) = (random.normal(16, 100), try format.matrix(random.normal(33, 100)))
    let all = try withTorch { x.linear(weight) }
    for row in 0..<16 {
      let (alone, among) = try withTorch {
        (x.slice(0, row..<(row + 1)).linear(weight), all.slice(0, row..<(row + 1)).contiguous())
      }
      #expect(try areIdentical(alone, among))
    }
  }

  @Test(arguments: WeightFormat.allCases) func threadsShareTheOutputs(format: WeightFormat) throws {
    let random = try RandomTensors(seed: 6)
    let (x, weight) = (random.normal(5, 300), try format.matrix(random.normal(2053, 300)))
    let before = Machine.threadCount
    defer { Machine.threadCount = before }
    Machine.threadCount = 1
    let alone = try withTorch { x.linear(weight) }
    for threads in [2, 3, 5, 8] {
      Machine.threadCount = threads
      for _ in 0..<20 { #expect(try areIdentical(alone, withTorch { x.linear(weight) }), "\(threads) threads") }
    }
  }

  @Test(arguments: WeightFormat.allCases) func rowsAreThoseOfTheWholeWeight(format: WeightFormat) throws {
    let random = try RandomTensors(seed: 4)
    for inputs in [1, 17, 130, 256] {
      let matrix = try format.matrix(random.normal(9, inputs))
      let places = Tensor([8, 0, 3, 3] as [Int64], shape: [2, 2])
      let (rows, whole) = try withTorch {
        (matrix.indexSelect(places).to(.float32), matrix.floats.to(.float32).embedding(places))
      }
      #expect(try areIdentical(rows, whole))
    }
    let matrix = try format.matrix(random.normal(9, 4))
    #expect(message { _ = matrix.indexSelect(Tensor([9] as [Int64], shape: [1])) }.contains("ndex"))
  }

  @Test(arguments: [WeightFormat.bfloat16, .int8, .int4]) func aFrozenWeightPassesTheDerivativeOn(format: WeightFormat)
    throws
  {
    let random = try RandomTensors(seed: 5)
    for rows in [3, 40] {
      let (x, weight) = (random.normal(rows, 1030), try format.matrix(random.normal(1100, 1030)))
      let upstream = random.normal(rows, 1100)
      let slope = try gradients(of: [x]) { ($0[0].linear(weight) * upstream).sum() }[0]
      let exact = try withTorch { upstream.to(.float64).matmul(weight.floats.to(.float64)) }
      #expect(try relativeError(of: slope, to: exact) < 1e-6)
    }
  }
}

/// The format of a weight in memory.
enum WeightFormat: CaseIterable, Sendable {
  case float32, bfloat16, int8, int4

  func matrix(_ weight: Tensor) throws -> WeightMatrix {
    switch self {
    case .float32: WeightMatrix(weight)
    case .bfloat16: WeightMatrix(try withTorch { weight.to(.bfloat16) })
    case .int8: try WeightMatrix(weight).quantized(.int8)
    case .int4: try WeightMatrix(weight).quantized(.int4)
    }
  }
}

private func disagreement(_ format: WeightFormat, _ rows: Int, _ inputs: Int, _ outputs: Int) throws -> String? {
  let random = try RandomTensors(seed: UInt64(inputs))
  let (x, weight) = (random.normal(rows, inputs), try format.matrix(random.normal(outputs, inputs)))
  return try withTorch {
    let found = x.linear(weight)
    if found.shape != [rows, outputs] { return "the shape \(found.shape)" }
    // Quantized rows come from operators here that share nothing with the kernels.
    let floats = weight.floats.to(.float64)
    let isInteger = format == .int4 || format == .int8 && String(cString: ck_vector_code()) == "avx2"
    let met = isInteger && rows <= 16 ? try roundedToSixteenBits(x) : x.to(.float64)
    let exact = met.matmul(floats.transposed())
    let error = try ((found.to(.float64) - exact).norm() / (x.to(.float64).norm() * floats.norm() + 1e-30)).item()
    return error <= 5e-7 ? nil : "an error of \(error)"
  }
}

/// Activations [R,K] as they are multiplied by integer weights: integers up to 32639, 32 under one scale.
private func roundedToSixteenBits(_ x: Tensor) throws -> Tensor {
  let (rows, inputs) = (x.shape[0], x.shape[1]), groups = (inputs + 31) / 32
  let padded = Tensor.concatenate([x, .zeros([rows, groups * 32 - inputs])], axis: 1).reshaped(rows, groups, 32)
  let most = padded.abs().max(2, keep: true)
  // In another type some values would round the other way.
  let numbers = (padded * (Tensor([Float(32639)]) / most)).rounded()
  return (numbers.to(.float64) * (most.to(.float64) / 32639)).reshaped(rows, groups * 32).slice(1, 0..<inputs)
}
