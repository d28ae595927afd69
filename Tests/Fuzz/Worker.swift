import Foundation

/// A fault of a reader other than a crash or a hang.
struct Fault: Error {
  let description: String

  init(_ description: String) { self.description = description }
}

/// Reads a range of inputs with one target in this process, and writes its progress for the supervisor.
struct Worker {
  let target: Target
  let corpus: Corpus
  let seed: UInt64
  let range: Range<Int>
  /// The time at which to end early.
  let deadline: Date
  let folder: URL
  /// The file for the index of the current input, as eight bytes.
  let progress: URL

  /// The result of a range.
  struct Counts: Codable {
    var read = 0
    var refused = 0
    /// The faulty error messages by the index of the input.
    var messages: [Int: String] = [:]
  }

  func run() throws -> Counts {
    let seeds = try target.seeds()
    var counts = Counts()
    let descriptor = open(progress.path, O_WRONLY | O_CREAT, 0o644)
    defer { close(descriptor) }
    for index in range {
      if index % 64 == 0, Date() > deadline { break }
      var place = Int64(index)
      pwrite(descriptor, &place, 8, 0)
      let files = target.input(index, seed: seed, of: seeds, corpus: corpus)
      let input = folder.appending(path: "input")
      try Self.write(files, to: input)
      do {
        try target.read(input)
        counts.read += 1
      } catch {
        counts.refused += 1
        if let fault = Self.fault(in: error), counts.messages.count < 20 { counts.messages[index] = fault }
      }
    }
    return counts
  }

  /// Creates a folder with exactly these files.
  static func write(_ files: Files, to folder: URL) throws {
    try? FileManager.default.removeItem(at: folder)
    for (name, bytes) in files {
      let file = folder.appending(path: name)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(bytes).write(to: file)
    }
  }

  /// The fault of an error message; nil if it is one clear line of Wideband's own.
  static func fault(in error: any Error) -> String? {
    if let fault = error as? Fault { return fault.description }
    let text = "\(error)"
    let isOwn = !(error is DecodingError) && !(error is CocoaError) && type(of: error) != NSError.self
    let foreign = ["NSCocoaErrorDomain", "Yams", "enforce fail", "PyTorch", "Swift.", "Optional(", "DecodingError"]
    let hasControls = text.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F }
    if isOwn, text.unicodeScalars.count <= 2001, !hasControls, !foreign.contains(where: text.contains) { return nil }
    return "\(type(of: error)): \(text.prefix(300))"
  }
}
