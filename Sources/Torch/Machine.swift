import CTorch
import Foundation

/// The processor's threads and the process's memory habits.
public enum Machine {
  /// Threads that operators on the processor may use, at least one.
  public static var threadCount: Int {
    get { Int(wb_thread_count()) }
    set { wb_set_thread_count(Int32(clamping: newValue)) }
  }

  /// Processors on which the process may run.
  public static var processorCount: Int { Int(wb_processor_count()) }

  /// Flushes denormal numbers to zero, keeps freed memory for reuse, asks for huge pages where the system has them, and
  /// takes as many threads as `defaultThreads` says. Call it once, before the first operator.
  public static func prepare() {
    wb_prepare_process()
    // What is so already is not said again: MKL makes its own choices only where it was told nothing.
    if threadCount != defaultThreads.count { threadCount = defaultThreads.count }
  }

  /// As many threads as the process may use cores: libtorch's own choice when it was loaded, which follows
  /// `OMP_NUM_THREADS`, but no more than the control groups' quota.
  public static let defaultThreads = ThreadChoice.choose(
    asked: nil, found: threadCount,
    isFromEnvironment: ThreadChoice.isNumber(ProcessInfo.processInfo.environment["OMP_NUM_THREADS"]),
    processors: processorCount, quota: ProcessorQuota().processors())

  /// Takes as many threads as are asked for, or fewer where those are far more than there are processors.
  public static func use(threads asked: Int) -> ThreadChoice {
    let choice = ThreadChoice.choose(
      asked: asked, found: asked, isFromEnvironment: false, processors: processorCount, quota: nil)
    threadCount = choice.count
    return choice
  }

  /// The vector code of the kernels, the best first of those that this processor has.
  public static var vectorCodes: [String] {
    var names: [String] = []
    while let name = wb_supported_vector_code(Int32(names.count)) { names.append(String(cString: name)) }
    return names
  }

  /// The vector code in use.
  public static var vectorCode: String { String(cString: wb_vector_code()) }

  /// What multiplies large matrices on the processor, and why.
  public static var products: (library: String, reason: String) {
    let reason = String(cString: wb_product_library_reason())
    return (String(cString: wb_product_library()), reason.split(separator: "\n").first.map(String.init) ?? "")
  }

  /// Gives the memory back to the system that was freed and is kept for reuse.
  public static func releaseFreedMemory() { wb_release_freed_memory() }

  /// Bytes a second at which all threads together read an array of `bytes`, the middle one of a few passes; 0 where there is
  /// no room for it.
  public static func readBandwidth(bytes: Int) -> Double { wb_read_bandwidth(Int64(bytes)) }
}
