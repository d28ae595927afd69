import CheckedInput
import Foundation
import Torch

/// Memory of this process.
public enum ProcessMemory {
  /// Bytes that are in memory now; the peak where the system does not say.
  public static var residentBytes: Int {
    guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
      let pages = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { return peakBytes }
    return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// Gives back what was freed, and counts the peak from here on, where the system can do that.
  public static func resetPeak() {
    Machine.releaseFreedMemory()
    try? Data("5".utf8).write(to: fileURL("/proc/self/clear_refs"))
  }

  /// The most bytes that were in memory at once.
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
