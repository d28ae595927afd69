import Foundation
import WidebandCTorch

/// CPU threads, vector instructions and memory allocation of this process.
public enum Machine {
  /// The number of threads of CPU operators, at least 1.
  public static var threadCount: Int {
    get { Int(wb_thread_count()) }
    set { wb_set_thread_count(Int32(clamping: newValue)) }
  }

  /// The number of processors on which the process may run.
  public static var processorCount: Int { Int(wb_processor_count()) }

  /// Flushes denormal numbers to zero, keeps freed memory for reuse, requests huge pages where the system has them, and
  /// sets the number of threads to `defaultThreads`. Call it once, before the first operator.
  public static func prepare() {
    wb_prepare_process()
    // Not set again to the same value: MKL adapts its number of threads only where none was set.
    if threadCount != defaultThreads.count { threadCount = defaultThreads.count }
  }

  /// The default number of threads: libtorch's default, which is `OMP_NUM_THREADS` or one thread per core that the
  /// process may run on, limited by the quota of the control groups.
  public static let defaultThreads = ThreadChoice.choose(
    asked: nil, found: threadCount,
    isFromEnvironment: ThreadChoice.isNumber(ProcessInfo.processInfo.environment["OMP_NUM_THREADS"]),
    processors: processorCount, quota: ProcessorQuota().processors())

  /// Sets the number of threads to `asked`, but to at most four per processor.
  public static func use(threads asked: Int) -> ThreadChoice {
    let choice = ThreadChoice.choose(
      asked: asked, found: asked, isFromEnvironment: false, processors: processorCount, quota: nil)
    threadCount = choice.count
    return choice
  }

  /// The vector instruction sets that both the kernels and this processor support, the best first.
  public static var vectorCodes: [String] {
    var names: [String] = []
    while let name = wb_supported_vector_code(Int32(names.count)) { names.append(String(cString: name)) }
    return names
  }

  /// The vector instruction set in use.
  public static var vectorCode: String { String(cString: wb_vector_code()) }

  /// The library that multiplies large matrices on the CPU, and the reason for that choice.
  public static var products: (library: String, reason: String) {
    let reason = String(cString: wb_product_library_reason())
    return (String(cString: wb_product_library()), reason.split(separator: "\n").first.map(String.init) ?? "")
  }

  /// Returns freed memory that is kept for reuse to the system.
  public static func releaseFreedMemory() { wb_release_freed_memory() }

  /// The memory bandwidth, in bytes per second, of all threads reading an array of `bytes`: the median of a few passes;
  /// 0 if the array cannot be allocated.
  public static func readBandwidth(bytes: Int) -> Double { wb_read_bandwidth(Int64(bytes)) }
}
