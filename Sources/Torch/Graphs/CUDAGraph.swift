import WidebandCTorch

/// A CUDA graph: operators on a GPU that were captured once and are launched again together, on the same memory.
public final class CUDAGraph {
  /// Captures work for a device and returns a function that launches it; nil where it cannot be captured.
  public typealias Capturer = (Device, @escaping () -> Bool) -> (() throws -> Void)?

  /// Captures graphs of a device; nil for a device without graphs.
  public static func capturer(for device: Device) -> Capturer? {
    guard device.kind == .cuda else { return nil }
    return { device, work in CUDAGraph(on: device, work).map { graph in { try graph.replay() } } }
  }

  /// Whether operators that run now are captured: then the host can neither read nor set tensors' elements.
  @TaskLocal public static var isCapturing = false

  private let pointer: OpaquePointer

  /// Captures the operators that `work` launches on the device, without running them; nil where that is impossible, which a
  /// line on standard error explains once. Work that reads a result, copies from the processor's memory, or runs kernels for
  /// the first time cannot be captured.
  ///
  /// - Parameter work: returns false for no graph.
  public init?(on device: Device, _ work: () -> Bool) {
    let captured: OpaquePointer? = withoutActuallyEscaping(work) { work in
      let box = Box(work)
      return withExtendedLifetime(box) {
        wb_cuda_graph_capture(
          device.packed,
          { context in
            guard let context else { return false }
            let work = Unmanaged<Box<() -> Bool>>.fromOpaque(context).takeUnretainedValue().value
            return (try? CUDAGraph.$isCapturing.withValue(true) { try withTorch { work() } }) ?? false
          }, Unmanaged.passUnretained(box).toOpaque())
      }
    }
    guard let captured else { return nil }
    pointer = captured
  }

  deinit { wb_cuda_graph_release(pointer) }

  /// Launches the graph.
  ///
  /// - Throws: `TorchError` if the device refuses.
  public func replay() throws {
    guard wb_cuda_graph_launch(pointer) else { throw TorchError("a CUDA graph: \(lastError())") }
  }
}

/// A copy of integers from a device that meanwhile continues its work.
public final class AsyncReadback {
  private let pointer: OpaquePointer
  private let count: Int

  /// Starts to read an int64 tensor as it is when the work launched on its device so far is done.
  ///
  /// - Throws: `TorchError` if it is not a contiguous int64 tensor.
  public init(_ numbers: Tensor) throws {
    guard let source = numbers.pointer, let readback = wb_readback_start(source) else {
      throw TorchError("reading \(numbers.dtype)\(numbers.shape): \(lastError())")
    }
    pointer = readback
    count = numbers.count
  }

  deinit { wb_readback_release(pointer) }

  /// Waits for the elements.
  ///
  /// - Throws: `TorchError` if the device failed.
  public func values() throws -> [Int64] {
    var numbers = [Int64](repeating: 0, count: count)
    guard wb_readback_wait(pointer, &numbers) else { throw TorchError("reading \(count) numbers: \(lastError())") }
    return numbers
  }
}
