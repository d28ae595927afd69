/// The text of files and folders in blocks, for who needs all of it once, such as a tokenizer's training.
///
/// A sequence cannot throw: one that meets a file it cannot read ends there and keeps the error in `failure`.
public final class TextCorpus: Sequence {
  /// The texts of a conversation that is the JSON of a line of chat data.
  ///
  /// - Throws: an error whose description begins with the file and the line.
  public typealias ConversationTexts = (_ json: [UInt8], _ file: String, _ line: Int) throws -> [[UInt8]]

  /// What ended the last pass over the text before its end.
  public private(set) var failure: (any Error)?
  /// Files that are left out, and why.
  public let notes: [String]
  private let files: [TextFile]
  private let conversationTexts: ConversationTexts
  private static let blockSize = 1 << 20

  /// The text below some paths.
  ///
  /// - Parameter conversationTexts: what is text in a conversation.
  /// - Throws: `DataError` for a path that is not there or holds no text.
  public init(_ paths: [String], conversationTexts: @escaping ConversationTexts) throws {
    (files, notes) = try TextFile.find(paths)
    self.conversationTexts = conversationTexts
  }

  /// Blocks of UTF-8 text that end at line ends, a few megabytes in memory at once, and the texts of conversations.
  public func makeIterator() -> AnyIterator<[UInt8]> {
    var remaining = files[...]
    var blocks: () throws -> [UInt8]? = { nil }
    return AnyIterator { [self] in
      do {
        while true {
          if let block = try blocks() { return block }
          guard let file = remaining.popFirst() else { return nil }
          blocks = try file.holdsConversations() ? texts(of: file) : Self.blocks(of: file)
        }
      } catch {
        failure = error
        remaining = []
        blocks = { nil }
        return nil
      }
    }
  }

  private static func blocks(of file: TextFile) throws -> () throws -> [UInt8]? {
    var documents = try TextDocuments(file, blockSize: blockSize)
    return { try documents.next()?.bytes }
  }

  private func texts(of file: TextFile) throws -> () throws -> [UInt8]? {
    var lines = try ConversationLines(file)
    var texts: ArraySlice<[UInt8]> = []
    return { [conversationTexts] in
      while texts.isEmpty {
        guard let (number, bytes) = try lines.next() else { return nil }
        texts = try conversationTexts(bytes, DataError.printed(file.path), number)[...]
      }
      return texts.popFirst()
    }
  }
}
