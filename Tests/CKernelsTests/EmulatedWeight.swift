import TestSupport
import WidebandCKernels
import WidebandTorch

/// Bytes aligned to 16 at an address that C may keep.
final class AlignedBytes {
  let pointer: UnsafeMutableRawPointer

  /// - Parameter filler: what every byte begins as; not a number in any of the kernels' types.
  init(_ count: Int, filler: UInt8 = 0xff) {
    pointer = .allocate(byteCount: Swift.max(count, 16), alignment: 16)
    pointer.initializeMemory(as: UInt8.self, repeating: filler, count: Swift.max(count, 16))
  }

  deinit { pointer.deallocate() }
}

/// A random weight `[N, K]` in one of the kernels' formats, and its values.
final class EmulatedWeight {
  let matrix: ck_matrix
  /// `[N, K]`.
  let floats: [Float]
  private let values: AlignedBytes
  private let scales: AlignedBytes?
  private let elements: Elements?

  /// - Parameter isRounded: whether its floats are rounded to bfloat16 where they are multiplied.
  init(_ format: ck_weight_format, outputs: Int, inputs: Int, seed: UInt64, isRounded: Bool) throws {
    let source = try Memory(RandomTensors(seed: seed).normal(outputs, inputs))
    let isScaled = format == CK_INT8 || format == CK_INT4
    let groups = format == CK_INT4 ? (inputs + 127) / 128 * 4 : (inputs + 31) / 32
    if isScaled {
      let (values, scales) = (
        AlignedBytes(outputs * Swift.max(groups * 32, inputs)), AlignedBytes(outputs * groups * 2)
      )
      let factors = scales.pointer.assumingMemoryBound(to: UInt16.self)
      var args = ck_quantize_args(
        format: format, outputs: Int64(outputs), inputs: Int64(inputs), weight: source.pointer, values: values.pointer,
        scales: factors)
      guard ck_quantize(&args, 1) else { throw TorchError("the weight cannot be quantized") }
      (self.values, self.scales, elements) = (values, scales, nil)
    } else {
      let elements = Elements(source, bytes: format == CK_FLOAT32 ? 4 : 2)
      (self.values, scales, self.elements) = (AlignedBytes(0), nil, elements)
    }
    let matrix = ck_matrix(
      format: format, outputs: Int64(outputs), inputs: Int64(inputs), values: elements?.memory ?? values.pointer,
      scales: scales.map { UnsafePointer($0.pointer.assumingMemoryBound(to: UInt16.self)) })
    let expanded = Memory(repeating: 0, count: outputs * inputs)
    let isDone = withUnsafePointer(to: matrix) { matrix in
      var args = ck_dequantize_args(matrix: matrix, first: 0, count: Int64(outputs), y: expanded.pointer)
      return ck_dequantize(&args, 1)
    }
    guard isDone else { throw TorchError("no such weight") }
    self.matrix = matrix
    floats = isRounded && format == CK_FLOAT32 ? Elements(expanded, bytes: 2).floats : expanded.elements
  }
}

/// Random numbers as a kernel takes them, and as it sees them.
struct EmulatedRows {
  let elements: Elements
  let floats: [Float]

  init(_ count: Int, seed: UInt64, bytes: Int) throws {
    elements = Elements(try Memory(RandomTensors(seed: seed).normal(count)), bytes: bytes)
    floats = elements.floats
  }

  init(_ floats: [Float], bytes: Int) {
    let memory = Memory(repeating: 0, count: floats.count)
    for (index, value) in floats.enumerated() { memory.pointer[index] = value }
    (elements, self.floats) = (Elements(memory, bytes: bytes), floats)
  }
}

/// The distance of results from the expected ones, relative to `scale`.
func distance(_ found: [Float], _ expected: [Double], relativeTo scale: Double) -> Double {
  guard found.count == expected.count else { return .infinity }
  var sum = 0.0
  for (one, other) in zip(found, expected) { sum += (Double(one) - other) * (Double(one) - other) }
  return sum.squareRoot() / scale
}

func norm(_ values: some Sequence<Double>) -> Double {
  var sum = 0.0
  for value in values { sum += value * value }
  return sum.squareRoot()
}
