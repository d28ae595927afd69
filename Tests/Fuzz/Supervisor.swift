import Foundation

/// Runs workers on one target until all inputs were read, and stores the inputs of faults.
struct Supervisor {
  let target: Target
  let seed: UInt64
  /// The time limit of one input in seconds.
  let timeout = 20.0
  /// The memory limit of a worker in bytes.
  let memoryLimit = 4 << 30
  /// Inputs that are read first; inputs of faults are added to it.
  let corpus: Corpus

  /// The result of a run.
  struct Outcome {
    var counts = Worker.Counts()
    var faults: [String] = []
    /// The number of inputs that were read.
    var inputs: Int { counts.read + counts.refused }
  }

  func run(count: Int, until deadline: Date) throws -> Outcome {
    var outcome = Outcome()
    // Workers are replaced regularly, because libtorch and the allocator retain memory.
    let portion = 20_000
    var next = -corpus.inputs.count
    while next < count, Date() < deadline, outcome.faults.count < 20 {
      let end = min(max(next, 0) + portion, count)
      let (reached, counts, fault) = try runWorker(next..<end, until: deadline)
      if let counts {
        outcome.counts.read += counts.read
        outcome.counts.refused += counts.refused
        for (index, message) in counts.messages.sorted(by: { $0.key < $1.key }) {
          outcome.faults.append("\(try store(index)): refused with \(message)")
        }
      }
      if let fault {
        outcome.counts.refused += reached - next
        outcome.faults.append("\(try store(reached)): \(fault)")
        next = reached + 1
      } else {
        next = end
      }
    }
    return outcome
  }

  /// Runs a worker.
  ///
  /// - Returns: the index that was reached, the worker's counts, and the fault that ended it, if any.
  private func runWorker(_ range: Range<Int>, until deadline: Date) throws -> (Int, Worker.Counts?, String?) {
    let manager = FileManager.default
    let memory = URL(filePath: "/dev/shm")
    let root = manager.fileExists(atPath: memory.path) ? memory : manager.temporaryDirectory
    let folder = root.appending(path: "wideband-fuzz-\(getpid())-\(target.name)")
    try manager.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? manager.removeItem(at: folder) }
    let progress = folder.appending(path: "progress")
    let result = folder.appending(path: "result.json")
    let process = Process()
    process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = [
      "--worker", folder.path, "--targets", target.name, "--seed", "\(seed)", "--from=\(range.lowerBound)",
      "--count", "\(range.count)", "--seconds", "\(max(1, deadline.timeIntervalSinceNow))",
    ]
    var environment = ProcessInfo.processInfo.environment
    environment["OMP_NUM_THREADS"] = "1"
    environment["SWIFT_BACKTRACE"] = "enable=no"
    process.environment = environment
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    var last = -1
    var lastChange = Date()
    var reason: String?
    while process.isRunning {
      Thread.sleep(forTimeInterval: 0.05)
      let index = Self.index(progress) ?? range.lowerBound
      if index != last {
        last = index
        lastChange = Date()
      }
      if Date().timeIntervalSince(lastChange) > timeout { reason = "no end after \(Int(clamping: timeout)) s" }
      if Self.residentBytes(process.processIdentifier) > memoryLimit {
        reason = "more than \(memoryLimit) bytes of memory"
      }
      if reason != nil { break }
    }
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
    let reached = Self.index(progress) ?? range.lowerBound
    if process.terminationReason == .exit, process.terminationStatus == 0 {
      return (range.upperBound, try JSONDecoder().decode(Worker.Counts.self, from: Data(contentsOf: result)), nil)
    }
    return (reached, nil, reason ?? "the worker ended by signal or status \(process.terminationStatus)")
  }

  private static func index(_ file: URL) -> Int? {
    guard let data = try? Data(contentsOf: file), data.count == 8 else { return nil }
    return data.enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
  }

  private static func residentBytes(_ process: Int32) -> Int {
    let text = (try? String(contentsOfFile: "/proc/\(process)/statm", encoding: .utf8)) ?? ""
    let fields = text.split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4096 : 0
  }

  /// Writes an input to the corpus.
  ///
  /// - Returns: its name in the corpus.
  private func store(_ index: Int) throws -> String {
    if index < 0 { return corpus.names[corpus.names.count + index] }
    let name = "\(target.name)-\(seed)-\(index)"
    let input = try target.input(index, seed: seed, of: target.seeds(), corpus: corpus)
    try Worker.write(input, to: Corpus.folder.appending(path: name))
    return name
  }
}
