import CUDAEmulation
import TestSupport
import Testing
import WidebandCKernels
import WidebandTorch

/// The GPU's kernels for norms, run on the processor thread by thread, against the processor's own.
@Suite struct CUDANormTests {
  @Test(arguments: 0..<cuda_emulation_norm_count()) func kernelsAgreeWithTheProcessor(program: Int32) throws {
    let (width, bytes) = (cuda_emulation_norm_width(program), Int(cuda_emulation_norm_element_bytes(program)))
    for rows in [1, 37] as [Int64] {
      let random = try RandomTensors(seed: UInt64(width))
      let count = Int(rows * width)
      let (x, upstream) = try (rounded(random.normal(count), bytes), rounded(random.normal(count), bytes))
      let weight = try Memory(random.normal(Int(width), around: 1, deviation: 0.3))
      let expected = (y: wide(count), scale: wide(Int(rows)), x: wide(count), weight: wide(Int(width)))
      var forward = ck_rms_norm_args(
        rows: rows, width: width, x: x.memory.pointer, weight: weight.pointer, epsilon: 0.1, y: expected.y.pointer,
        scale: expected.scale.pointer)
      #expect(ck_rms_norm(&forward, 1))
      var backward = ck_rms_norm_backward_args(
        rows: rows, width: width, x: x.memory.pointer, weight: weight.pointer, scale: expected.scale.pointer,
        y_gradient: upstream.memory.pointer, x_gradient: expected.x.pointer, weight_gradient: expected.weight.pointer)
      #expect(ck_rms_norm_backward(&backward, 1))
      let found = (
        y: Elements(wide(count), bytes: bytes), scale: wide(Int(rows)), x: Elements(wide(count), bytes: bytes)
      )
      let weightGradient = wide(Int(width))
      cuda_emulation_norm(
        program, rows, x.elements.memory, weight.pointer, 0.1, found.y.memory, found.scale.pointer, 3)
      #expect(
        cuda_emulation_norm_backward(
          program, rows, x.elements.memory, weight.pointer, found.scale.pointer, upstream.elements.memory,
          found.x.memory, weightGradient.pointer, 3))
      let tolerance = bytes == 2 ? 3e-3 : 1e-6
      for (name, one, other, limit) in [
        ("result", found.y.floats, expected.y.elements, tolerance),
        ("scale", found.scale.elements, expected.scale.elements, 1e-6),
        ("gradient of x", found.x.floats, expected.x.elements, tolerance),
        ("gradient of the weight", weightGradient.elements, expected.weight.elements, 1e-6),
      ] {
        let error = try relativeError(of: Tensor(one), to: Tensor(other))
        #expect(error <= limit, "[\(rows), \(width)] of \(bytes) bytes: \(name) has a relative error of \(error)")
      }
    }
  }

  private func wide(_ count: Int) -> Memory { Memory(repeating: 0, count: count) }

  /// The numbers of a tensor as a kernel takes them, and as floats of the same value.
  private func rounded(_ tensor: Tensor, _ bytes: Int) throws -> (elements: Elements, memory: Memory) {
    let elements = Elements(try Memory(tensor), bytes: bytes)
    return (elements, try Memory(Tensor(elements.floats)))
  }
}
