import Foundation
import WidebandCheckedInput

/// One run of a preparation: reads, splits, encodes on all cores and writes, a few megabytes at a time.
struct DataPreparationRun {
  private let preparation: DataPreparation
  private let folder: String
  private var split: DataSplit
  private let blockSize: Int?
  private var train: TokenShardWriter
  private var validation: TokenShardWriter
  private var waiting: [Unit] = []
  private var waitingBytes = 0

  /// A span of text that is encoded as a whole and gets one end of text, or a conversation.
  private struct Unit {
    let bytes: [UInt8]
    /// The path of the file.
    let path: String
    /// The line number of a conversation; nil for text.
    var line: Int?
    /// The position of the text in the file, for messages.
    var place = ""
    let split: TokenDataset.Split
  }

  private static let bytesAtOnce = 4 << 20

  init(_ preparation: DataPreparation, folder: String) throws {
    self.preparation = preparation
    self.folder = folder
    let options = preparation.options
    split = DataSplit(fraction: options.validationFraction, seed: options.seed)
    let isText = preparation.documentKind == nil
    blockSize = isText ? try Self.blockSize(preparation.files, fraction: options.validationFraction) : nil
    func writer(_ split: TokenDataset.Split) -> TokenShardWriter {
      TokenShardWriter(
        folder: folder, split: split, limit: options.tokensPerShard,
        vocabularySize: preparation.encoder.vocabularySize)
    }
    (train, validation) = (writer(.train), writer(.validation))
  }

  /// The size in bytes of held-out blocks, for a corpus of too few documents; nil if whole documents are held out.
  ///
  /// A block of 16 KiB is long enough to evaluate the use of context, and a large text has hundreds of blocks.
  private static func blockSize(_ files: [TextFile], fraction: Double) throws -> Int? {
    guard fraction > 0 else { return nil }
    let enough = max(20, Int(clamping: (1 / fraction).rounded(.up)))
    var documents = 0
    var bytes = 0
    for file in files {
      let reader = try TextReader(file)
      switch file.format {
      case .text:
        documents += 1
        while case let piece = try reader.peek(1 << 20), !piece.isEmpty { bytes += reader.take(piece.count).count }
      case .jsonLines:
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

  /// Writes the shards of both splits.
  ///
  /// - Returns: the descriptions of both splits.
  mutating func writeTokens(
    _ progress: (DataPreparation.Progress) -> Void
  ) throws -> (train: DataDescription.Split, validation: DataDescription.Split) {
    let files = preparation.files + preparation.heldOutFiles
    let total = files.reduce(0) { $0 + $1.size }
    var before = 0
    var index = 0
    for (number, file) in files.enumerated() {
      if number == preparation.files.count { split = .allHeldOut }
      let report = { progress(.init(bytesRead: before + $0, bytesToRead: total, tokens: $1)) }
      switch preparation.documentKind {
      case .conversations: try addConversations(of: file, &index, report)
      case nil: try addText(of: file, &index, report)
      }
      before += file.size
    }
    try encodeWaiting()
    try train.finish()
    try validation.finish()
    progress(.init(bytesRead: total, bytesToRead: total, tokens: tokenCount))
    guard tokenCount > 0 else {
      throw DataError.insufficientText(
        files.map(\.path).joined(separator: ", "), "the corpus is empty: there is no text in it")
    }
    return (train.summary, validation.summary)
  }

  /// Adds the text of a file; `index` counts documents or blocks over all files.
  private mutating func addText(
    of file: TextFile, _ index: inout Int, _ report: (_ position: Int, _ tokens: Int) -> Void
  ) throws {
    var documents = try TextDocuments(file, blockSize: blockSize)
    // Held-out blocks cut a text into training spans, which are encoded as a whole: there are no other cuts.
    var span: (bytes: [UInt8], place: String) = ([], "")
    func addSpan() {
      add(Unit(bytes: span.bytes, path: file.path, place: span.place, split: .train))
      span.bytes = []
    }
    while let block = try documents.next() {
      if split(index) == .validation {
        addSpan()
        add(Unit(bytes: block.bytes, path: file.path, place: block.place, split: .validation))
      } else {
        if span.bytes.isEmpty { span.place = block.place }
        span.bytes += block.bytes
      }
      if block.isLast || span.bytes.count > TextDocuments.maximumTextBytes { addSpan() }
      index += 1
      if try encodeIfMany() { report(documents.position, tokenCount) }
    }
  }

  /// Adds the conversations of a file; `index` counts them over all files.
  private mutating func addConversations(
    of file: TextFile, _ index: inout Int, _ report: (_ position: Int, _ tokens: Int) -> Void
  ) throws {
    let reader = try TextReader(file)
    while let (bytes, line, _) = try reader.nonBlankLine() {
      add(Unit(bytes: bytes, path: file.path, line: line, split: split(index)))
      index += 1
      if try encodeIfMany() { report(reader.position, tokenCount) }
    }
  }

  /// Writes the length in bytes of each token's text.
  func writeByteLengths() throws {
    let writer = try TokenArrayWriter("\(folder)/\(DataDescription.byteLengthsName)", .int64)
    try writer.append(preparation.encoder.byteLengths)
    try writer.finish()
  }

  private var tokenCount: Int { train.summary.tokens + validation.summary.tokens }

  private mutating func add(_ unit: Unit) {
    guard !unit.bytes.isEmpty else { return }
    waiting.append(unit)
    waitingBytes += unit.bytes.count
  }

  /// Encodes and writes the waiting units once they are large enough to use all cores; false if they are not.
  private mutating func encodeIfMany() throws -> Bool {
    guard waitingBytes >= Self.bytesAtOnce else { return false }
    try encodeWaiting()
    return true
  }

  private mutating func encodeWaiting() throws {
    let (units, encoder, endOfText) = (waiting, preparation.encoder, preparation.endOfText)
    let results = Locked([Result<EncodedDocument, any Error>?](repeating: nil, count: units.count))
    DispatchQueue.concurrentPerform(iterations: units.count) { index in
      let result = Result { try Self.encode(units[index], encoder, endOfText) }
      results.withLock { $0[index] = result }
    }
    for (unit, result) in zip(units, results.withLock(\.self)) {
      guard let document = try result?.get() else { continue }
      switch unit.split {
      case .train: try train.append(document)
      case .validation: try validation.append(document)
      }
    }
    waiting = []
    waitingBytes = 0
  }

  private static func encode(
    _ unit: Unit, _ encoder: any TextEncoder, _ endOfText: TokenID
  ) throws -> EncodedDocument {
    guard let line = unit.line else {
      let tokens: [TokenID]
      do { tokens = try encoder.encode(document: unit.bytes) } catch {
        throw DataError.malformed(unit.path, "\(unit.place): \(error)")
      }
      return EncodedDocument(tokens: tokens + [endOfText], byteCount: unit.bytes.count)
    }
    let document = try encoder.encode(conversation: unit.bytes, file: printable(path: unit.path), line: line)
    guard document.answers?.isEmpty == false else {
      throw DataError.malformed(
        unit.path, "line \(line): no message is the assistant's: expected at least one to learn from")
    }
    return document
  }
}
