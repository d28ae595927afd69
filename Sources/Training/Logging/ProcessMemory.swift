import Foundation
import WidebandCheckedInput
import WidebandTorch

/// The resident memory of this process.
public enum ProcessMemory {
  /// The resident size in bytes; the peak on systems without `/proc`.
  public static var residentBytes: Int {
    guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
      let pages = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { return peakBytes }
    return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// Returns freed memory to the system and, on Linux, resets the peak.
  public static func resetPeak() {
    Machine.releaseFreedMemory()
    try? Data("5".utf8).write(to: fileURL("/proc/self/clear_refs"))
  }

  /// The peak resident size in bytes.
  public static var peakBytes: Int {
    var usage = rusage()
    #if os(Linux)
      getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
      return usage.ru_maxrss * 1024
    #else
      getrusage(RUSAGE_SELF, &usage)
      return usage.ru_maxrss
    #endif
  }
}
