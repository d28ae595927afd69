import CUDAEmulation
import Foundation
import TestSupport
import Testing
import WidebandCKernels
import WidebandTorch

/// The GPU's products of a few rows with weights of every format, run on the processor thread by thread, against float64.
@Suite struct CUDAProductTests {
  static let programs = 0..<cuda_emulation_product_count()

  /// Whole rows of 16 bytes and rows that are not; fewer outputs than a tile and more; fewer columns than a unit and more
  /// than all warps take at once.
  @Test(arguments: programs) func productsAreThoseOfFloat64(program: Int32) throws {
    let kind = cuda_emulation_product_describe(program)
    for (inputs, outputs) in [(1, 1), (7, 5), (40, 17), (96, 16), (130, 33), (256, 3), (1304, 20), (2180, 18)] {
      for rows in inputs > 1000 ? [Int(kind.rows)] : [1, 3, Int(kind.rows)] {
        let subject = try EmulatedProduct(program, rows: rows, outputs: outputs, inputs: inputs)
        for (name, error, bound) in try subject.errors() {
          #expect(
            error <= bound,
            "\(kind.format) of \(kind.element_bytes) [\(rows), \(inputs)] by \(outputs): \(name) \(error)"
          )
        }
      }
    }
  }

  @Test(arguments: programs) func aRowIsTheSameAloneAndAmongOthers(program: Int32) throws {
    let kind = cuda_emulation_product_describe(program)
    let all = try EmulatedProduct(program, rows: Int(kind.rows), outputs: 18, inputs: 2180)
    let together = try all.projected(sharedBytes: 232_448, blocks: 2)
    // A part of x at a time, as where many rows of it do not fit, and another number of blocks.
    #expect(try all.projected(sharedBytes: all.leastBytes, blocks: 1) == together)
    for row in [0, Int(kind.rows) - 1] {
      let alone = try all.alone(row).projected(sharedBytes: 232_448, blocks: 3)
      #expect(alone == Array(together[(row * all.total)..<((row + 1) * all.total)]))
    }
  }
}

/// The three ways in which a program is used.
private struct EmulatedProduct {
  let program: Int32
  let rows, outputs, inputs: Int
  private let bytes: Int
  private let format: ck_weight_format
  private let weights: [EmulatedWeight]
  private let x, residual: EmulatedRows
  private let gain: Memory

  static let epsilon: Float = 0.05

  init(_ program: Int32, rows: Int, outputs: Int, inputs: Int) throws {
    let kind = cuda_emulation_product_describe(program)
    (self.program, self.rows, self.outputs, self.inputs) = (program, rows, outputs, inputs)
    (format, bytes) = (kind.format, Int(kind.element_bytes))
    // Keys and values have fewer outputs than queries.
    weights = try [outputs, outputs, (outputs + 1) / 2].enumerated().map { index, count in
      try EmulatedWeight(
        kind.format, outputs: count, inputs: inputs, seed: UInt64(index + 1), isRounded: kind.element_bytes == 2)
    }
    x = try EmulatedRows(rows * inputs, seed: 7, bytes: bytes)
    residual = try EmulatedRows(rows * outputs, seed: 8, bytes: bytes)
    gain = try Memory(RandomTensors(seed: 9).normal(inputs, around: 1, deviation: 0.3))
  }

  private init(_ other: Self, row: Int) throws {
    (program, rows, outputs, inputs) = (other.program, 1, other.outputs, other.inputs)
    (format, bytes, weights, residual, gain) = (other.format, other.bytes, other.weights, other.residual, other.gain)
    x = EmulatedRows(Array(other.x.floats[(row * inputs)..<((row + 1) * inputs)]), bytes: bytes)
  }

  /// The same with a single row of x.
  func alone(_ row: Int) throws -> Self { try Self(self, row: row) }

  var total: Int { weights.reduce(0) { $0 + Int($1.matrix.outputs) } }

  /// Shared memory for 2,048 columns of x and a little more.
  var leastBytes: Int32 { Int32(rows * (2048 * bytes + 64) + rows * 32 + 2 * 8 * 16 * rows * 4) }

  /// Name, error and bound of each result.
  func errors() throws -> [(String, Double, Double)] {
    let rounding = bytes == 2 ? 4e-3 : 1e-6
    let plain = exact(weights[0], of: x.floats.map(Double.init))
    let raised = zip(plain, residual.floats).map { $0 + Double($1) }
    let normal = normalized()
    let (gates, ups) = (exact(weights[0], of: normal), exact(weights[1], of: normal))
    // A single sum may cancel, so that its error is measured by the size of what was summed.
    let size = norm(x.floats.lazy.map(Double.init)) * norm(weights[0].floats.lazy.map(Double.init))
    let gated = zip(gates, ups).map { $0 / (1 + exp(-$0)) * $1 }
    return [
      ("product", distance(try run(1, residual: false), plain, relativeTo: norm(plain)), rounding),
      ("with a residual", distance(try run(1, residual: true), raised, relativeTo: norm(raised)), rounding),
      ("gates", distance(try run(2, residual: false), gated, relativeTo: norm(gated)), 4 * rounding),
      (
        "projections", distance(try projected(sharedBytes: 232_448, blocks: 3), exactProjections(), relativeTo: size),
        5e-7
      ),
    ]
  }

  /// Three products side by side, of x as it is.
  func projected(sharedBytes: Int32, blocks: Int32) throws -> [Float] {
    let y = Memory(repeating: .nan, count: rows * total)
    let matrices = weights.map(\.matrix)
    #expect(
      cuda_emulation_product(
        program, matrices, 3, Int64(rows), x.elements.memory, nil, 0, nil, y.pointer, sharedBytes, blocks))
    return y.elements
  }

  private func run(_ count: Int32, residual isAdded: Bool) throws -> [Float] {
    let y = Elements(Memory(repeating: .nan, count: rows * outputs), bytes: bytes)
    let matrices = weights.map(\.matrix)
    #expect(
      cuda_emulation_product(
        program, matrices, count, Int64(rows), x.elements.memory, count == 2 ? gain.pointer : nil, Self.epsilon,
        isAdded ? residual.elements.memory : nil, y.memory, 232_448, 2))
    return y.floats
  }

  private func exactProjections() -> [Double] {
    let parts = weights.map { exact($0, of: x.floats.map(Double.init)) }
    return (0..<rows).flatMap { row in
      zip(weights, parts).flatMap { weight, part in
        let count = Int(weight.matrix.outputs)
        return Array(part[(row * count)..<((row + 1) * count)])
      }
    }
  }

  private func normalized() -> [Double] {
    (0..<rows).flatMap { row in
      let own = x.floats[(row * inputs)..<((row + 1) * inputs)].map(Double.init)
      let scale = 1 / (own.reduce(0) { $0 + $1 * $1 } / Double(inputs) + Double(Self.epsilon)).squareRoot()
      return own.enumerated().map { $1 * scale * Double(gain.pointer[$0]) }
    }
  }

  private func exact(_ weight: EmulatedWeight, of x: [Double]) -> [Double] {
    let count = Int(weight.matrix.outputs)
    return weight.floats.withUnsafeBufferPointer { floats in
      x.withUnsafeBufferPointer { x in
        (0..<(rows * count)).map { index in
          let (row, output) = (index / count, index % count)
          var sum = 0.0
          for k in 0..<inputs { sum += x[row * inputs + k] * Double(floats[output * inputs + k]) }
          return sum
        }
      }
    }
  }
}
