import Foundation
import Wideband

/// The machine's capabilities that affect speed, with the reasons for the choices.
struct MachineReport {
  /// The report as aligned text.
  var text: String {
    let codes = Machine.vectorCodes
    let products = Machine.products
    let lines = [
      (
        "processor",
        "\(processor), \(Machine.processorCount) processor\(Machine.processorCount == 1 ? "" : "s") to run on"
      ),
      ("vector code", "\(Machine.vectorCode): the best of what it supports, \(codes.joined(separator: ", "))"),
      ("products", "\(products.library): \(products.reason)"),
      ("threads", "\(Machine.defaultThreads)"),
      ("memory", memory),
      ("devices", devices),
    ]
    return lines.map { $0.0.padding(toLength: 15, withPad: " ", startingAt: 0) + $0.1 }.joined(separator: "\n")
  }

  /// The processor's name according to the system.
  private var processor: String {
    #if os(Linux)
      let lines = text("/proc/cpuinfo").split(separator: "\n")
      for line in lines where line.hasPrefix("model name") {
        if let name = line.split(separator: ":", maxSplits: 1).dropFirst().first {
          return name.trimmingCharacters(in: .whitespaces)
        }
      }
    #endif
    var system = utsname()
    guard uname(&system) == 0 else { return "unknown" }
    return withUnsafeBytes(of: &system.machine) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  private var memory: String {
    let total = String(format: "%.1f GB", Double(ProcessInfo.processInfo.physicalMemory) / 1e9)
    for line in text("/proc/meminfo").split(separator: "\n") where line.hasPrefix("MemAvailable:") {
      let fields = line.split(separator: " ")
      if fields.count > 1, let kilobytes = Double(fields[1]) {
        return total + String(format: ", of which %.1f GB are available", kilobytes * 1024 / 1e9)
      }
    }
    return total
  }

  /// The available devices, and the reasons for which others are not available.
  private var devices: String {
    let others = ["cuda", "mps"].map { name in
      do { return try "\(Device(name))" } catch { return "\(error)" }
    }
    return (["cpu"] + others).joined(separator: "; ")
  }

  private func text(_ path: String) -> String {
    FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }
}
