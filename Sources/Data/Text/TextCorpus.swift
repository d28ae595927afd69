import WidebandCheckedInput

/// The text of files and folders as a sequence of blocks, for a single pass such as training a tokenizer.
///
/// Sequences cannot throw: at a file that cannot be read, iteration ends and `failure` is set.
public final class TextCorpus: Sequence {
  /// A function that extracts the texts of a conversation from the JSON of a line of chat data.
  ///
  /// - Throws: an error whose description begins with the file and the line.
  public typealias ConversationTexts = (_ json: [UInt8], _ file: String, _ line: Int) throws -> [[UInt8]]

  /// The error that ended the last iteration, if any.
  public private(set) var failure: (any Error)?
  /// Notes on skipped files.
  public let notes: [String]
  private let files: [TextFile]
  private let conversationTexts: ConversationTexts
  private static let blockSize = 1 << 20

  /// The text of files, and of folders with their subfolders.
  ///
  /// - Parameter conversationTexts: extracts the texts of a conversation.
  /// - Throws: `DataError` for a path that does not exist or contains no text.
  public init(_ paths: [String], conversationTexts: @escaping ConversationTexts) throws {
    (files, notes) = try TextFile.find(paths)
    self.conversationTexts = conversationTexts
  }

  /// Blocks of about 1 MiB of UTF-8 text, cut at line ends where possible, and the texts of conversations.
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
    let reader = try TextReader(file)
    var texts: ArraySlice<[UInt8]> = []
    return { [conversationTexts] in
      while texts.isEmpty {
        guard let (bytes, number, _) = try reader.nonBlankLine() else { return nil }
        texts = try conversationTexts(bytes, printable(path: file.path), number)[...]
      }
      return texts.popFirst()
    }
  }
}
