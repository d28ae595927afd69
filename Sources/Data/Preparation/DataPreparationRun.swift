import Foundation
import WidebandCheckedInput

/// One run of a preparation: reads, splits, encodes on all cores and writes, a few megabytes at a time.
struct DataPreparationRun {
  private let files: [TextFile]
  private let documentKind: DataDescription.DocumentKind?
  private let encoder: any TextEncoder
  private let endOfText: Int32
  private let folder: String
  private let split: DataSplit
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

  init(
    _ files: [TextFile], _ documentKind: DataDescription.DocumentKind?, _ encoder: any TextEncoder,
    endOfText: Int32, _ options: DataPreparation.Options, folder: String
  ) throws {
    self.files = files
    self.documentKind = documentKind
    self.encoder = encoder
    self.endOfText = endOfText
    self.folder = folder
    split = DataSplit(fraction: options.validationFraction, seed: options.seed)
    blockSize = documentKind == nil ? try Self.blockSize(files, fraction: options.validationFraction) : nil
    func writer(_ split: TokenDataset.Split) -> TokenShardWriter {
      TokenShardWriter(
        folder: folder, split: split, limit: options.tokensPerShard, vocabularySize: encoder.vocabularySize)
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
      if file.format == .text {
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

  /// Writes the shards of both splits.
  ///
  /// - Returns: the descriptions of both splits.
  mutating func writeTokens(
    _ progress: (DataPreparation.Progress) -> Void
  ) throws -> (train: DataDescription.Split, validation: DataDescription.Split) {
    let total = files.reduce(0) { $0 + $1.size }
    var before = 0
    var index = 0
    for file in files {
      if documentKind == .conversations {
        try addConversations(of: file, &index) {
          progress(.init(bytesRead: before + $0, bytesToRead: total, tokens: $1))
        }
        before += file.size
        continue
      }
      var documents = try TextDocuments(file, blockSize: blockSize)
      // Held-out blocks cut a text into training spans, which are encoded as a whole: there are no other cuts.
      var span: (bytes: [UInt8], place: String) = ([], "")
      func addSpan() {
        add(span.bytes, file, span.place, .train)
        span.bytes = []
      }
      while let block = try documents.next() {
        if split(index) == .validation {
          addSpan()
          add(block.bytes, file, block.place, .validation)
        } else {
          if span.bytes.isEmpty { span.place = block.place }
          span.bytes += block.bytes
        }
        if block.isLast || span.bytes.count > TextDocuments.maximumTextBytes { addSpan() }
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
      throw DataError.insufficientText(
        files.map(\.path).joined(separator: ", "), "the corpus is empty: there is no text in it")
    }
    return (train.summary, validation.summary)
  }

  /// Adds all conversations of a file; `index` counts them over all files.
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

  /// Writes the length in bytes of each token's text.
  func writeByteLengths() throws {
    let writer = try TokenArrayWriter("\(folder)/\(DataDescription.byteLengthsName)", .int64)
    try writer.append(encoder.byteLengths)
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
    let (encoder, endOfText) = (encoder, endOfText)
    let results = Results(count: units.count)
    DispatchQueue.concurrentPerform(iterations: units.count) { index in
      results[index] = Result { try Self.encode(units[index], encoder, endOfText) }
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

  private static func encode(
    _ unit: Unit, _ encoder: any TextEncoder, _ endOfText: Int32
  ) throws -> EncodedDocument {
    guard let line = unit.line else {
      let tokens: [Int32]
      do { tokens = try encoder.encode(document: unit.bytes) } catch {
        throw DataError.malformed(unit.path, "\(unit.place): \(error)")
      }
      return EncodedDocument(tokens: tokens + [endOfText], byteCount: unit.bytes.count)
    }
    let document = try encoder.encode(conversation: unit.bytes, file: printable(path: unit.path), line: line)
    guard document.answers?.isEmpty == false else {
      throw DataError.malformed(
        unit.path, "line \(line): no message is the assistant's, expected at least one to learn from")
    }
    return document
  }

  /// The results of units, which several threads store.
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
