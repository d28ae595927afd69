import Foundation
import WidebandCheckedInput

/// The environment variables of the processes that `wideband launch` starts: those of torchrun.
struct LaunchEnvironment {
  /// The number of processes.
  let processes: Int
  /// The port of rank 0 on 127.0.0.1.
  let masterPort: Int
  /// The threads of all processes together.
  let threads: Int
  /// The environment of this process.
  let inherited: [String: String]

  /// Variables by which an outer launcher describes its own processes, which are others.
  private static let outer = ["TORCHELASTIC_", "SLURM_"]

  /// The environment of a process.
  func variables(ofRank rank: Int) -> [String: String] {
    var variables = inherited.filter { name, _ in !Self.outer.contains { name.hasPrefix($0) } }
    variables["RANK"] = "\(rank)"
    variables["WORLD_SIZE"] = "\(processes)"
    variables["LOCAL_RANK"] = "\(rank)"
    variables["LOCAL_WORLD_SIZE"] = "\(processes)"
    variables["MASTER_ADDR"] = "127.0.0.1"
    variables["MASTER_PORT"] = "\(masterPort)"
    if variables["OMP_NUM_THREADS"] == nil { variables["OMP_NUM_THREADS"] = "\(max(1, threads / processes))" }
    variables[LauncherWatch.variable] = "1"
    return variables
  }
}

/// A TCP port of 127.0.0.1 that is free now.
///
/// Another program could take it before rank 0 does; rank 0 then reports that.
func freeLocalPort() throws -> Int {
  #if canImport(Darwin)
    let stream = SOCK_STREAM
  #else
    let stream = Int32(SOCK_STREAM.rawValue)
  #endif
  let descriptor = socket(AF_INET, stream, 0)
  guard descriptor >= 0 else { throw CommandError("no free port: \(systemReason())") }
  defer { close(descriptor) }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  var size = socklen_t(MemoryLayout<sockaddr_in>.size)
  let isBound = withUnsafeMutablePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
    }
  }
  guard isBound else { throw CommandError("no free port: \(systemReason())") }
  return Int(UInt16(bigEndian: address.sin_port))
}
