import CKernels
import TestSupport
import Torch

/// Bytes at a multiple of 16 that C may keep.
final class AlignedBytes {
  let pointer: UnsafeMutableRawPointer

  /// - Parameter filler: what every byte begins as; not a number in any of the kernels' types.
  init(_ count: Int, filler: UInt8 = 0xff) {
    pointer = .allocate(byteCount: Swift.max(count, 16), alignment: 16)
    pointer.initializeMemory(as: UInt8.self, repeating: filler, count: Swift.max(count, 16))
  }

  deinit { pointer.deallocate() }
}

/// A random weight `[N, K]` in one of the kernels' forms, and the numbers that it stands for.
final class EmulatedWeight {
  let matrix: ck_matrix
  /// `[N, K]`.
  let floats: [Float]
  private let values: AlignedBytes
  private let scales: AlignedBytes?
  private let elements: Elements?

  /// - Parameter isRounded: whether its floats are rounded to bfloat16 where they are multiplied.
  init(_ form: ck_form, outputs: Int, inputs: Int, seed: UInt64, isRounded: Bool) throws {
    let source = try Memory(RandomTensors(seed: seed).normal(outputs, inputs))
    let isScaled = form == CK_INT8 || form == CK_INT4
    let groups = form == CK_INT4 ? (inputs + 127) / 128 * 4 : (inputs + 31) / 32
    if isScaled {
      let (values, scales) = (
        AlignedBytes(outputs * Swift.max(groups * 32, inputs)), AlignedBytes(outputs * groups * 2)
      )
      let factors = scales.pointer.assumingMemoryBound(to: UInt16.self)
      guard ck_quantize(form, Int64(outputs), Int64(inputs), source.pointer, values.pointer, factors, 1) else {
        throw TorchError("the weight cannot be quantised")
      }
      (self.values, self.scales, elements) = (values, scales, nil)
    } else {
      let elements = Elements(source, bytes: form == CK_FLOAT32 ? 4 : 2)
      (self.values, scales, self.elements) = (AlignedBytes(0), nil, elements)
    }
    var matrix = ck_matrix(
      form: form, outputs: Int64(outputs), inputs: Int64(inputs), values: elements?.memory ?? values.pointer,
      scales: scales.map { UnsafePointer($0.pointer.assumingMemoryBound(to: UInt16.self)) })
    let expanded = Memory(repeating: 0, count: outputs * inputs)
    guard ck_expand(&matrix, 0, Int64(outputs), expanded.pointer, 1) else { throw TorchError("no such weight") }
    self.matrix = matrix
    floats = isRounded && form == CK_FLOAT32 ? Elements(expanded, bytes: 2).floats : expanded.elements
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

/// How far numbers are from what they should be, beside `scale`.
func distance(_ found: [Float], _ expected: [Double], beside scale: Double) -> Double {
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
