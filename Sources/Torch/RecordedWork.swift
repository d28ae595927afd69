import CTorch

/// Operators on a GPU that were recorded once and run again in one go, on the same memory: a CUDA graph.
public final class RecordedWork {
  /// Records work for a device; gives what runs it, or nil where it cannot be recorded.
  public typealias Recorder = (Device, @escaping () -> Bool) -> (() throws -> Void)?

  /// The recorder of a device; nil where there is none.
  public static func recorder(for device: Device) -> Recorder? {
    guard device.kind == .cuda else { return nil }
    return { device, work in RecordedWork(on: device, work).map { recording in { try recording.run() } } }
  }

  /// Whether what runs now may be recorded: elements of tensors can neither be read nor given then.
  @TaskLocal public static var isRecording = false

  private let pointer: OpaquePointer

  /// Records what `work` gives the device to do, without doing it; nil where that cannot be, which a line on standard error
  /// explains once. Work that reads a result or moves anything from the processor's memory cannot be recorded, nor work
  /// that runs kernels for the first time.
  ///
  /// - Parameter work: gives false to have nothing recorded.
  public init?(on device: Device, _ work: () -> Bool) {
    let recorded: OpaquePointer? = withoutActuallyEscaping(work) { work in
      let box = Box(work)
      return withExtendedLifetime(box) {
        wb_record(
          device.packed,
          { context in
            guard let context else { return false }
            let work = Unmanaged<Box>.fromOpaque(context).takeUnretainedValue().work
            return (try? RecordedWork.$isRecording.withValue(true) { try withTorch { work() } }) ?? false
          }, Unmanaged.passUnretained(box).toOpaque())
      }
    }
    guard let recorded else { return nil }
    pointer = recorded
  }

  deinit { wb_recording_release(pointer) }

  /// Gives the device all of it to do.
  ///
  /// - Throws: `TorchError` if the device refuses.
  public func run() throws {
    guard wb_recording_run(pointer) else { throw TorchError("a recorded step: \(lastError())") }
  }

  private final class Box {
    let work: () -> Bool
    init(_ work: @escaping () -> Bool) { self.work = work }
  }
}

/// Whole numbers on their way from a device that meanwhile goes on with its work.
public final class Reading {
  private let pointer: OpaquePointer
  private let count: Int

  /// Asks for the values that a tensor of int64 has when the work given to its device so far is done.
  ///
  /// - Throws: `TorchError` if it is none.
  public init(_ numbers: Tensor) throws {
    guard let source = numbers.pointer, let reading = wb_read_ahead(source) else {
      throw TorchError("reading \(numbers.dtype)\(numbers.shape): \(lastError())")
    }
    pointer = reading
    count = numbers.count
  }

  deinit { wb_reading_release(pointer) }

  /// The numbers, waited for.
  ///
  /// - Throws: `TorchError` if the device failed.
  public func values() throws -> [Int] {
    var numbers = [Int64](repeating: 0, count: count)
    guard wb_reading_finish(pointer, &numbers) else { throw TorchError("reading \(count) numbers: \(lastError())") }
    return numbers.map(Int.init)
  }
}
