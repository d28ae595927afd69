import Foundation
import Testing

/// Text, tokens and tokenizers that cannot be used.
struct BadDataTests {
  private let workspace: Workspace
  private let folder: TemporaryFolder

  init() throws {
    workspace = try .shared()
    folder = try TemporaryFolder()
  }

  private func prepare(_ name: String) throws -> Executable.Result {
    try Executable.run(
      "data", "prepare", "--tokenizer", workspace("tokenizer"), "--output", "out", name, in: folder.url)
  }

  @Test func anEmptyCorpus() throws {
    try folder.write("empty.txt", "")
    expectError(try prepare("empty.txt"), "empty.txt: the corpus is empty: there is no text in it")
    expectError(
      try Executable.run("tokenizer", "train", "--output", "out", "empty.txt", in: folder.url),
      "the corpus is empty: there is nothing to train on")
    #expect(!folder.exists("out"))
  }

  @Test func textThatIsNotUTF8() throws {
    try folder.write("latin.txt", [0x49, 0x6E, 0x20, 0xE9, 0x74, 0xE9])
    expectError(try prepare("latin.txt"), "latin.txt: byte 3 is 0xE9, which is not UTF-8")
    expectError(
      try Executable.run("tokenizer", "train", "--output", "out", "latin.txt", in: folder.url),
      "latin.txt: byte 3 is 0xE9, which is not UTF-8")
    #expect(!folder.exists("out"))
  }

  @Test func aCorpusShorterThanOneSequence() throws {
    try folder.write("short.txt", "In the beginning")
    #expect(try prepare("short.txt").status == 0)
    let result = try Executable.run(
      "train", "--recipe", workspace("recipe.yaml"), "--data", "out", "--output", "run", in: folder.url)
    #expect(result.status == 1)
    #expect(result.errors.hasPrefix("Error: \(folder("out").path): the train split has "))
    #expect(result.errors.hasSuffix(" tokens, expected at least 33 for sequences of 32\n"))
    #expect(!folder.exists("run"))
  }

  @Test func textThatIsNotThere() throws {
    expectError(try prepare("nowhere.txt"), "nowhere.txt: no such file or folder")
  }

  @Test func idsOutOfRange() throws {
    let tokenizer = workspace("tokenizer")
    expectError(
      try Executable.run("tokenizer", "decode", "--tokenizer", tokenizer, "12", "320"),
      "token id 320 is out of range: the vocabulary has 320 ids, 0 to 319")
    expectError(
      try Executable.run("tokenizer", "decode", "--tokenizer", tokenizer, input: "-1\n"),
      "token id -1 is out of range: the vocabulary has 320 ids, 0 to 319")
    expectError(
      try Executable.run("tokenizer", "decode", "--tokenizer", tokenizer, "99999999999"),
      "'99999999999' is not a token id: expected an integer")
  }

  @Test func aMalformedTokenizer() throws {
    let file = try folder.write("tokenizer.json", "{\"model\": ")
    expectError(
      try Executable.run("tokenizer", "encode", "--tokenizer", folder.url.path, "text"),
      "\(file.path): line 1, column 11: malformed JSON: expected '{'")
    expectError(
      try Executable.run("tokenizer", "encode", "--tokenizer", "nowhere.json", "text", in: folder.url),
      "\(folder("nowhere.json").path): cannot be read: No such file or directory")
  }

  @Test func aTokenInTheDataThatIsNotInTheVocabulary() throws {
    try FileManager.default.copyItem(atPath: workspace("tokens"), toPath: folder("tokens").path)
    let shard = folder("tokens/train-00000.npy")
    var bytes = try Data(contentsOf: shard)
    bytes.replaceSubrange((bytes.count - 4000)..., with: Data(repeating: 0xFF, count: 4000))
    try bytes.write(to: shard)
    let result = try Executable.run(
      "train", "--recipe", workspace("recipe.yaml"), "--data", "tokens", "--output", "run", in: folder.url)
    #expect(result.status == 1)
    #expect(result.errors.contains("Error: \(shard.path): token "))
    #expect(result.errors.hasSuffix(" is 65535, expected an id less than the vocabulary's 320\n"))
  }

  @Test func aFolderOfOtherTextIsNotOverwritten() throws {
    try folder.write("a.txt", "In the beginning")
    try folder.write("b.txt", "God created")
    #expect(try prepare("a.txt").status == 0)
    expectError(try prepare("b.txt"), "out: holds data prepared from other text; remove it or choose another folder")
    #expect(try prepare("a.txt").output.contains("out (up to date): "))
  }

  @Test func outputThatCannotBeWritten() throws {
    try folder.write("file", "a file")
    try folder.write("a.txt", "In the beginning")
    let prepared = try Executable.run(
      "data", "prepare", "--tokenizer", workspace("tokenizer"), "--output", "file/out", "a.txt", in: folder.url)
    expectError(prepared, "file/out: the folder above it cannot be created: File exists")
    let trained = try Executable.run(
      "tokenizer", "train", "--output", "file/out", workspace("text.txt"), in: folder.url)
    expectError(trained, "file/out: the folder cannot be created: Not a directory")
    #expect(try folder.read("file") == "a file")
  }
}
