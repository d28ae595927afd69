import Foundation
import Testing

@testable import WidebandTorch

/// Quantized weights compared to the documented packing, value by value.
@Suite struct QuantizationTests {
  @Test(
    arguments: QuantizationScheme.allCases,
    [1, 5, 31, 32, 33, 64, 100, 127, 128, 129, 161, 256, 300, 500, 512, 640, 1100])
  func noWeightChangesByMoreThanTheBound(scheme: QuantizationScheme, inputs: Int) throws {
    let weight = try random(3, inputs, seed: UInt64(inputs))
    let matrix = try WeightMatrix(weight).quantized(scheme)
    let reference = try Reference(matrix)
    #expect(matrix.outputs == 3 && matrix.inputs == inputs && matrix.count == 3 * inputs)
    #expect(try matrix.floats.elements(Float.self) == reference.floats)
    #expect(reference.isPaddedWithZeros)
    let weights = try weight.elements(Float.self)
    for group in reference.groups {
      let problem = group.problem(weights[group.places].map(Double.init), scheme)
      #expect(problem == nil, "weights \(group.places): \(problem ?? "")")
    }
  }

  @Test("int4 has a smaller error than plain rounding") func int4_error() throws {
    let weight = try random(64, 512)
    let reference = try Reference(WeightMatrix(weight).quantized(.int4))
    let weights = try weight.elements(Float.self).map(Double.init)
    var (total, plain) = (0.0, 0.0)
    for group in reference.groups {
      let group = (group, weights: Array(weights[group.places]))
      let squares = group.0.squares(group.weights)
      let peak = group.weights.max { abs($0) < abs($1) } ?? 0
      let scale = Double(Float(bitPattern: (Float(peak / -8).bitPattern + 0xffff) & 0xffff_0000))
      let rounded = group.weights.map { min(max(($0 / scale).rounded(.toNearestOrEven), -8), 7) * scale }
      let plainSquares = zip(rounded, group.weights).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      #expect(squares <= plainSquares * (1 + 1e-5))
      total += squares
      plain += plainSquares
    }
    // Plain rounding of normal samples has an error of 8.6 % of their norm.
    #expect((total / plain).squareRoot() < 0.95)
    #expect(abs((plain / weights.reduce(0) { $0 + $1 * $1 }).squareRoot() - 0.0865) < 0.001)
  }

  @Test(arguments: QuantizationScheme.allCases) func extremesKeepTheBound(scheme: QuantizationScheme) throws {
    let large = Float(sign: .plus, exponent: 126, significand: 1).nextDown
    let least = Float(sign: .plus, exponent: -110, significand: 1)
    let denormal = Float.leastNonzeroMagnitude * 70_000
    let groups: [[Float]] = [
      Array(repeating: 0, count: 32), [large, -large] + Array(repeating: large / 3, count: 30),
      [least, -least / 2] + Array(repeating: 0, count: 30), [least.nextDown] + Array(repeating: denormal, count: 31),
      [1] + Array(repeating: denormal, count: 31), Array(repeating: -3, count: 32), [7, -7, 6.5, -6.5, 8, -8],
    ]
    for group in groups {
      let matrix = try WeightMatrix(Tensor(group, shape: [1, group.count])).quantized(scheme)
      let reference = try Reference(matrix)
      #expect(try matrix.floats.elements(Float.self) == reference.floats)
      let found = try #require(reference.groups.first)
      let isZero = group.allSatisfy { abs($0) < least }
      #expect((found.scale == 0) == isZero)
      #expect(isZero || found.problem(group.map(Double.init), scheme) == nil)
      #expect(reference.floats.allSatisfy { isZero ? $0 == 0 : $0.isFinite })
    }
    // A factor of a power of two changes the scales alone.
    let weight = try random(2, 64)
    let doubled = try WeightMatrix(withTorch { weight * 1024 }).quantized(scheme)
    try expectEqual(
      doubled.values.to(.float32), try WeightMatrix(weight).quantized(scheme).values.to(.float32), within: 0)
  }

  @Test(arguments: [Float.infinity, -.infinity, .nan, 0x1p126]) func quantization_outOfRange_isRejected(number: Float) {
    for place in [0, 40, 65] {
      var weights = [Float](repeating: 1, count: 66)
      weights[place] = number
      expectError("holds a number that is not finite, or of 2^126 or more") {
        _ = try WeightMatrix(Tensor(weights, shape: [1, 66])).quantized(.int8)
      }
    }
    expectError("is quantized already") {
      _ = try WeightMatrix(.ones([1, 4])).quantized(.int8).quantized(.int8)
    }
  }

  @Test(arguments: QuantizationScheme.allCases) func quantization_isIndependentOfThreadsAndDType(
    scheme: QuantizationScheme
  ) throws {
    let weight = try withTorch { try random(700, 300).to(.bfloat16) }
    let bytes = try [DType.bfloat16, .float32, .float64].flatMap { dtype in
      try [1, 2].map { threads in
        Machine.threadCount = threads
        defer { Machine.threadCount = 2 }
        let matrix = try WeightMatrix(withTorch { weight.to(dtype) }).quantized(scheme)
        return try [matrix.values, #require(matrix.scales)].map { try $0.withContiguousBytes { Array($0) } }
      }
    }
    #expect(bytes.allSatisfy { $0 == bytes[0] })
    #expect(bytes[0][0].count == 700 * (scheme == .int8 ? 300 : 192))
    #expect(bytes[0][1].count == 700 * 2 * (scheme == .int8 ? 10 : 12))
  }

  @Test(arguments: QuantizationScheme.allCases) func indexSelect_equalsDequantizedRows(scheme: QuantizationScheme)
    throws
  {
    let matrix = try WeightMatrix(random(9, 70)).quantized(scheme)
    let places = Tensor([8, 0, 3, 3] as [Int64], shape: [2, 2])
    let rows = try withTorch { matrix.indexSelect(places) }
    #expect(rows.shape == [2, 2, 70] && rows.dtype == .float32)
    try expectEqual(rows, try withTorch { matrix.floats.embedding(places) }, within: 0)
  }

  /// The last matrix is dequantized in two parts.
  @Test(arguments: QuantizationScheme.allCases, [(1, 70, 9), (3, 129, 40), (40, 64, 33), (2, 1100, 5000)])
  func linear_equalsDequantizedProduct(scheme: QuantizationScheme, sizes: (Int, Int, Int)) throws {
    let (rows, inputs, outputs) = sizes
    let matrix = try WeightMatrix(random(outputs, inputs)).quantized(scheme)
    let x = try random(rows, inputs, seed: 2)
    let exact = try withTorch { x.to(.float64).linear(matrix.floats.to(.float64)) }
    for kernels in [Kernels.fused, .composed] {
      try Kernels.$selected.withValue(kernels) {
        // The kernel for a few rows converts activations to int16; for int8 weights on some processors only.
        let isRounded = kernels == .fused && rows <= 16
        try expectEqual(try withTorch { x.linear(matrix) }, exact, within: isRounded ? 3e-5 : 1e-6)
        let half = try withTorch { x.to(.bfloat16).linear(matrix) }
        #expect(half.dtype == .bfloat16)
        try expectEqual(half, exact, within: 0.01)
      }
    }
    let leaf = try withTorch { x.detached().requiringGradient() }
    try withTorch { leaf.linear(matrix).sum().backward() }
    let slope = try withTorch { matrix.floats.sum(0, keep: true).expanded([rows, inputs]) }
    try expectEqual(try #require(leaf.gradient), slope, within: 1e-5)
  }
}

/// A quantized matrix decoded value by value.
private struct Reference {
  struct Group {
    /// The indices of the weights in row-major order.
    let places: Range<Int>
    let scale: Double
    let numbers: [Int]

    func squares(_ weights: [Double]) -> Double {
      zip(numbers, weights).reduce(0) { sum, pair in
        let change = pair.1 - scale * Double(pair.0)
        return sum + change * change
      }
    }

    /// The violated bound of the group's quantized values, if any.
    func problem(_ weights: [Double], _ scheme: QuantizationScheme) -> String? {
      let peak = weights.map(abs).max() ?? 0
      let range = scheme == .int8 ? -127...127 : -8...7
      let bound = scheme == .int8 ? peak / 254 * (1 + 1 / 128) : peak / 8
      for (number, weight) in zip(numbers, weights) {
        if !range.contains(number) { return "\(number) is out of range" }
        let change = abs(weight - scale * Double(number))
        if change > bound * (1 + 1e-6) { return "\(weight) changes by \(change), more than \(bound)" }
        let isClipped = number == range.lowerBound || number == range.upperBound
        if !isClipped, change > abs(scale) / 2 * (1 + 1e-6) { return "\(number) is not nearest to \(weight)" }
      }
      if scheme == .int8, scale * 127 < peak { return "\(peak) does not fit a scale of \(scale)" }
      return nil
    }
  }

  var groups: [Group] = []
  var floats: [Float] = []
  var isPaddedWithZeros = true

  init(_ matrix: WeightMatrix) throws {
    let (outputs, inputs) = (matrix.outputs, matrix.inputs)
    let scales = try #require(matrix.scales)
    #expect(scales.dtype == .bfloat16)
    let isInt4 = matrix.scheme == .int4
    let width = isInt4 ? (inputs + 127) / 128 * 128 : inputs
    let perRow = isInt4 ? width / 32 : (width + 31) / 32
    #expect(scales.shape == [outputs, perRow])
    #expect(matrix.values.shape == [outputs, isInt4 ? width / 8 : width])
    let factors = try scales.elements(Float.self)
    let values = try matrix.values.elements(Int64.self).map(Int.init)
    for row in 0..<outputs {
      for group in 0..<perRow {
        let factor = factors[row * perRow + group]
        let columns = (group * 32)..<min(group * 32 + 32, width)
        let all = columns.map {
          isInt4 ? Self.nibble(values, row * width / 8, perRow, $0) - 8 : values[row * inputs + $0]
        }
        let count = max(0, min(32, inputs - columns.lowerBound))
        isPaddedWithZeros = isPaddedWithZeros && all[count...].allSatisfy { $0 == 0 } && (count > 0 || factor == 0)
        guard count > 0 else { continue }
        let numbers = Array(all[..<count])
        let start = row * inputs + columns.lowerBound
        groups.append(Group(places: start..<(start + count), scale: Double(factor), numbers: numbers))
        floats += numbers.map { factor * Float($0) }
      }
    }
  }

  /// Weight `column` of a row of `groups` groups whose words start at `start`, plus 8.
  private static func nibble(_ words: [Int], _ start: Int, _ groups: Int, _ column: Int) -> Int {
    let (block, group, place) = (column / 512, column / 32 % 16, column % 32)
    let together = min(groups - block * 16, 16)
    let word = words[start + block * 64 + place / 8 * together + group]
    return word >> (4 * (place % 4 * 2 + place % 8 / 4)) & 15
  }
}
