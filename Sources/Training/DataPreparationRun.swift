import Foundation

/// The work of one preparation: reads, splits, encodes on all cores and writes, a few megabytes at a time.
struct DataPreparationRun {
  private let files: [TextFile]
  private let form: DataDescription.Form?
  private let encoder: any TextEncoder
  private let folder: String
  private let split: DataSplit
  private let blockSize: Int?
  private var train: TokenShardWriter
  private var validation: TokenShardWriter
  private var waiting: [Unit] = []
  private var waitingBytes = 0

  /// Text that is encoded as a whole and gets one end of text, or a conversation.
  private struct Unit {
    let bytes: [UInt8]
    /// The file.
    let path: String
    /// The line of a conversation; nil for text.
    var line: Int?
    /// Where in the file text begins.
    var place = ""
    let split: TokenDataset.Split
  }

  private static let bytesAtOnce = 4 << 20

  init(
    _ files: [TextFile], _ form: DataDescription.Form?, _ encoder: any TextEncoder, _ options: DataPreparation.Options,
    folder: String
  ) throws {
    self.files = files
    self.form = form
    self.encoder = encoder
    self.folder = folder
    split = DataSplit(fraction: options.validationFraction, seed: options.seed)
    blockSize = form == nil ? try Self.blockSize(files, fraction: options.validationFraction) : nil
    func writer(_ split: TokenDataset.Split) -> TokenShardWriter {
      TokenShardWriter(
        folder: folder, split: split, limit: options.tokensPerShard, vocabularySize: encoder.vocabularySize)
    }
    (train, validation) = (writer(.train), writer(.validation))
  }

  /// Bytes of a block where too few documents leave nothing to choose from; nil where whole documents are held out.
  ///
  /// A block of 16 KiB is long enough to test what a model makes of context, and a big text has hundreds of them.
  private static func blockSize(_ files: [TextFile], fraction: Double) throws -> Int? {
    guard fraction > 0 else { return nil }
    let enough = max(20, Int(clamping: (1 / fraction).rounded(.up)))
    var documents = 0
    var bytes = 0
    for file in files {
      let reader = try TextReader(file)
      if file.form == .text {
        documents += 1
        while case let piece = try reader.peek(1 << 20), !piece.isEmpty { bytes += reader.take(piece.count).count }
      } else {
        while let line = try reader.line() {
          documents += line.isEmpty ? 0 : 1
          bytes += line.count
          if documents >= enough { return nil }
        }
      }
      if documents >= enough { return nil }
    }
    return Int(min(16_384, max(256, Double(bytes) * fraction / 2)))
  }

  /// Writes the shards of both splits and says what is in them.
  mutating func writeTokens(
    _ progress: (DataPreparation.Progress) -> Void
  ) throws -> (train: DataDescription.Split, validation: DataDescription.Split) {
    let total = files.reduce(0) { $0 + $1.size }
    var before = 0
    var index = 0
    for file in files {
      if form == .conversations {
        try addConversations(of: file, &index) {
          progress(.init(bytesRead: before + $0, bytesToRead: total, tokens: $1))
        }
        before += file.size
        continue
      }
      var documents = try TextDocuments(file, blockSize: blockSize)
      // Held-out blocks cut a text into runs; those to train on stay whole, so that no seam is seen but these.
      var run: (bytes: [UInt8], place: String) = ([], "")
      func addRun() {
        add(run.bytes, file, run.place, .train)
        run.bytes = []
      }
      while let block = try documents.next() {
        if split(index) == .validation {
          addRun()
          add(block.bytes, file, block.place, .validation)
        } else {
          if run.bytes.isEmpty { run.place = block.place }
          run.bytes += block.bytes
        }
        if block.isLast || run.bytes.count > TextDocuments.longestText { addRun() }
        index += 1
        guard waitingBytes >= Self.bytesAtOnce else { continue }
        try encodeWaiting()
        progress(.init(bytesRead: before + documents.position, bytesToRead: total, tokens: tokenCount))
      }
      before += file.size
    }
    try encodeWaiting()
    try train.finish()
    try validation.finish()
    progress(.init(bytesRead: total, bytesToRead: total, tokens: tokenCount))
    guard tokenCount > 0 else {
      throw DataError(files.map(\.path).joined(separator: ", "), "the corpus is empty: there is no text in it")
    }
    return (train.summary, validation.summary)
  }

  /// Adds every line of a file of conversations; `index` counts them over all files.
  private mutating func addConversations(
    of file: TextFile, _ index: inout Int, _ progress: (_ position: Int, _ tokens: Int) -> Void
  ) throws {
    var lines = try ConversationLines(file)
    while let (line, bytes) = try lines.next() {
      waiting.append(Unit(bytes: bytes, path: file.path, line: line, split: split(index)))
      waitingBytes += bytes.count
      index += 1
      guard waitingBytes >= Self.bytesAtOnce else { continue }
      try encodeWaiting()
      progress(lines.position, tokenCount)
    }
  }

  /// Writes the bytes of text that each token stands for.
  func writeByteLengths() throws {
    let lengths = encoder.byteLengths()
    let writer = try TokenArrayWriter("\(folder)/\(DataDescription.byteLengthsName)", .int64)
    try writer.append(lengths)
    try writer.finish()
  }

  private var tokenCount: Int { train.summary.tokens + validation.summary.tokens }

  private mutating func add(_ bytes: [UInt8], _ file: TextFile, _ place: String, _ split: TokenDataset.Split) {
    guard !bytes.isEmpty else { return }
    waiting.append(Unit(bytes: bytes, path: file.path, place: place, split: split))
    waitingBytes += bytes.count
  }

  private mutating func encodeWaiting() throws {
    let units = waiting
    let encoder = encoder
    let results = Results(count: units.count)
    DispatchQueue.concurrentPerform(iterations: units.count) { index in
      results[index] = Result { try Self.encode(units[index], encoder) }
    }
    for (index, unit) in units.enumerated() {
      guard let document = try results[index]?.get() else { continue }
      switch unit.split {
      case .train: try train.append(document)
      case .validation: try validation.append(document)
      }
    }
    waiting = []
    waitingBytes = 0
  }

  private static func encode(_ unit: Unit, _ encoder: any TextEncoder) throws -> EncodedDocument {
    guard let line = unit.line else {
      let tokens: [Int32]
      do { tokens = try encoder.encode(bytes: unit.bytes) } catch {
        throw DataError(unit.path, "\(unit.place): \(error)")
      }
      return EncodedDocument(tokens: tokens + [encoder.endOfText], byteCount: unit.bytes.count)
    }
    let document = try encoder.encode(conversation: unit.bytes, file: DataError.printed(unit.path), line: line)
    guard document.answers?.isEmpty == false else {
      throw DataError(
        unit.path, "line \(line): no message is the assistant's, expected at least one to learn from")
    }
    return document
  }

  /// A place for the result of each unit, filled by several threads.
  private final class Results: @unchecked Sendable {
    private let lock = NSLock()
    private var values: [Result<EncodedDocument, any Error>?]

    init(count: Int) { values = Array(repeating: nil, count: count) }

    subscript(index: Int) -> Result<EncodedDocument, any Error>? {
      get { lock.withLock { values[index] } }
      set { lock.withLock { values[index] = newValue } }
    }
  }
}
