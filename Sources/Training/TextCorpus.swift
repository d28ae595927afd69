/// The text of files and folders in blocks, for who needs all of it once, such as a tokenizer's training.
///
/// A sequence cannot throw: one that meets a file it cannot read ends there and keeps the error in `failure`.
public final class TextCorpus: Sequence {
  /// What ended the last pass over the text before its end.
  public private(set) var failure: (any Error)?
  private let files: [TextFile]
  private static let blockSize = 1 << 20

  /// The text below some paths.
  ///
  /// - Throws: `DataError` for a path that is not there or holds no text.
  public init(_ paths: [String]) throws { files = try TextFile.find(paths).files }

  /// Blocks of UTF-8 text that end at line ends, a few megabytes in memory at once.
  public func makeIterator() -> AnyIterator<[UInt8]> {
    var remaining = files[...]
    var documents: TextDocuments?
    return AnyIterator { [self] in
      do {
        while true {
          if let block = try documents?.next() { return block.bytes }
          guard let file = remaining.popFirst() else { return nil }
          documents = try TextDocuments(file, blockSize: Self.blockSize)
        }
      } catch {
        failure = error
        remaining = []
        documents = nil
        return nil
      }
    }
  }
}
