import Foundation

/// Runs workers on one target until all inputs were read, and keeps the inputs at which one died, hung or grew.
struct Supervisor {
  let target: Target
  let seed: UInt64
  /// Seconds that one input may take.
  let patience = 20.0
  /// Bytes that a worker may hold.
  let memoryLimit = 4 << 30
  /// What is read first, and where inputs with a fault are kept.
  let corpus: Corpus

  /// What a run came to.
  struct Outcome {
    var counts = Worker.Counts()
    var faults: [String] = []
    /// Inputs that were tried.
    var inputs: Int { counts.read + counts.refused }
  }

  func run(count: Int, until deadline: Date) throws -> Outcome {
    var outcome = Outcome()
    // A worker holds what libtorch and the allocator keep, so it is replaced now and then.
    let portion = 20_000
    var next = -corpus.inputs.count
    while next < count, Date() < deadline, outcome.faults.count < 20 {
      let end = min(max(next, 0) + portion, count)
      let (reached, counts, fault) = try runWorker(next..<end, until: deadline)
      if let counts {
        outcome.counts.read += counts.read
        outcome.counts.refused += counts.refused
        for (index, message) in counts.messages.sorted(by: { $0.key < $1.key }) {
          outcome.faults.append("\(try keep(index)): refused with \(message)")
        }
      }
      if let fault {
        outcome.counts.refused += reached - next
        outcome.faults.append("\(try keep(reached)): \(fault)")
        next = reached + 1
      } else {
        next = end
      }
    }
    return outcome
  }

  /// The index that was reached, what the worker counted, and why it ended if it did so before the end of its range.
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
      if Date().timeIntervalSince(lastChange) > patience { reason = "no end after \(Int(clamping: patience)) s" }
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

  /// Writes an input into the corpus, and says what it is called there.
  private func keep(_ index: Int) throws -> String {
    if index < 0 { return corpus.names[corpus.names.count + index] }
    let name = "\(target.name)-\(seed)-\(index)"
    let input = try target.input(index, seed: seed, of: target.seeds(), corpus: corpus)
    try Worker.write(input, to: Corpus.folder.appending(path: name))
    return name
  }
}
