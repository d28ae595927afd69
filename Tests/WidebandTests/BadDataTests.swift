import Foundation
import TestSupport
import Testing
import Wideband

/// Text, tokens and tokenizers that cannot be used.
final class BadDataTests: WorkspaceTests {
  private func prepare(_ name: String) throws -> Executable.Result {
    try folder.run("data", "prepare", "--tokenizer", workspace("tokenizer"), "--output", "out", name)
  }

  @Test func corpus_empty() throws {
    try folder.write("empty.txt", text: "")
    expectError(try prepare("empty.txt"), "empty.txt: the corpus is empty: there is no text in it")
    expectError(
      try folder.run("tokenizer", "train", "--output", "out", "empty.txt"),
      "the corpus is empty: there is nothing to train on")
    #expect(!folder.exists("out"))
  }

  @Test func text_notUTF8() throws {
    try folder.write("latin.txt", [0x49, 0x6E, 0x20, 0xE9, 0x74, 0xE9])
    expectError(try prepare("latin.txt"), "latin.txt: byte 3 is 0xE9, which is not UTF-8")
    expectError(
      try folder.run("tokenizer", "train", "--output", "out", "latin.txt"),
      "latin.txt: byte 3 is 0xE9, which is not UTF-8")
    #expect(!folder.exists("out"))
  }

  @Test func corpus_shorterThanSequence() throws {
    try folder.write("short.txt", text: "In the beginning")
    #expect(try prepare("short.txt").status == 0)
    let result = try folder.run("train", "--recipe", workspace("recipe.yaml"), "--data", "out", "--output", "run")
    #expect(result.status == 1)
    #expect(result.errors.hasPrefix("Error: out: the train split has "))
    #expect(result.errors.hasSuffix(" tokens: expected at least 33 for sequences of 32\n"))
    #expect(!folder.exists("run"))
  }

  @Test func text_missing() throws {
    expectError(try prepare("nowhere.txt"), "nowhere.txt: no such file or folder")
  }

  @Test func decode_idsOutOfRange() throws {
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

  @Test func tokenizer_malformed() throws {
    let file = try folder.write("tokenizer.json", text: "{\"model\": ")
    expectError(
      try Executable.run("tokenizer", "encode", "--tokenizer", folder.path, "text"),
      "\(file): line 1, column 11: malformed JSON: expected '{'")
    expectError(
      try folder.run("tokenizer", "encode", "--tokenizer", "nowhere.json", "text"),
      "\(folder("nowhere.json")): cannot be read: No such file or directory")
  }

  @Test func data_tokenOutOfVocabulary() throws {
    try FileManager.default.copyItem(atPath: workspace("tokens"), toPath: folder("tokens"))
    let shard = folder.url("tokens/train-00000.npy")
    var bytes = try Data(contentsOf: shard)
    bytes.replaceSubrange((bytes.count - 4000)..., with: Data(repeating: 0xFF, count: 4000))
    try bytes.write(to: shard)
    let result = try folder.run("train", "--recipe", workspace("recipe.yaml"), "--data", "tokens", "--output", "run")
    #expect(result.status == 1)
    #expect(result.errors.contains("Error: tokens/train-00000.npy: token "))
    #expect(result.errors.hasSuffix(" is 65535: expected an id less than the vocabulary's 320\n"))
  }

  @Test func prepare_otherData_isRefused() throws {
    try folder.write("a.txt", text: "In the beginning")
    try folder.write("b.txt", text: "God created")
    #expect(try prepare("a.txt").status == 0)
    expectError(try prepare("b.txt"), "out: holds data prepared from other text; remove it or choose another folder")
    #expect(try prepare("a.txt").output.contains("out (up to date): "))
  }

  @Test("an empty output is refused, and the current folder is not changed")
  func prepare_emptyOutput() throws {
    try folder.write("a.txt", text: "In the beginning")
    expectError(
      try folder.run("data", "prepare", "--tokenizer", workspace("tokenizer"), "--output", "", "a.txt"),
      "the name of the folder to make is empty: expected a path")
    #expect(try folder.read("a.txt") == "In the beginning")
  }

  @Test func output_notWritable() throws {
    try folder.write("file", text: "a file")
    try folder.write("a.txt", text: "In the beginning")
    let prepared = try folder.run(
      "data", "prepare", "--tokenizer", workspace("tokenizer"), "--output", "file/out", "a.txt")
    expectError(prepared, "file/out: the folder above it cannot be created: File exists")
    let trained = try folder.run("tokenizer", "train", "--output", "file/out", workspace("text.txt"))
    expectError(trained, "file/out: the folder cannot be created: Not a directory")
    #expect(try folder.read("file") == "a file")
  }

  /// Enough that a quadratic algorithm takes more than a minute.
  private static let many = 40_000

  @Test("as many files as fit on a command line are accepted quickly", .timeLimit(.minutes(1)))
  func prepare_manyFiles() throws {
    try folder.write("a b.txt", text: "In the beginning")
    let names = (0..<Self.many).map { "\($0).txt" }
    for command in [
      ["data", "prepare", "--tokenizer", workspace("tokenizer")], ["tokenizer", "train", "--size", "257"],
    ] {
      let result = try folder.run(command + ["a b.txt"] + names + ["--output", "out"])
      expectError(result, "0.txt: no such file or folder")
    }
    let made = try folder.run(
      "data", "prepare", "a b.txt", "--tokenizer", workspace("tokenizer"), "a b.txt", "a b.txt", "--output", "out")
    #expect(made.status == 0, "\(made.errors)")
    let inputs = try DataDescription.read(from: folder("out")).inputs
    #expect(inputs.map(\.name) == ["a b.txt", "a b.txt", "a b.txt"])
  }

  @Test("as many ids as fit on a command line are decoded quickly", .timeLimit(.minutes(1)))
  func decode_manyIDs() throws {
    let tokenizer = workspace("tokenizer")
    let ids = try Executable.run("tokenizer", "encode", "--tokenizer", tokenizer, "In the beginning").output
      .split(whereSeparator: \.isWhitespace).map(String.init)
    let many = (0..<(Self.many / ids.count)).flatMap { _ in ids }
    let text = String(repeating: "In the beginning", count: Self.many / ids.count) + "\n"
    for arguments in [
      ["--tokenizer", tokenizer] + many, many + ["--tokenizer=\(tokenizer)"],
      ["--tokenizer", tokenizer, "--"] + many.map { "+\($0)" },
    ] {
      let result = try Executable.run(["tokenizer", "decode"] + arguments)
      #expect(result.status == 0 && result.output == text, "\(result.errors.prefix(300))")
    }
    expectError(
      try Executable.run("tokenizer", "decode", "--tokenizer", tokenizer, "1", "2", "x", "3"),
      "'x' is not a token id: expected an integer")
  }

  @Test("data without a held-out part can be trained on but not evaluated")
  func train_withoutHeldOutText() throws {
    let prepared = try folder.run(
      "data", "prepare", "--tokenizer", workspace("tokenizer"), "--output", "all", "--validation-fraction", "0",
      workspace("text.txt"))
    #expect(prepared.status == 0)
    let trained = try folder.run(
      "train", "--recipe", workspace("recipe.yaml"), "--data", "all", "--output", "run", "--set", "training.steps=2",
      "--set", "schedule.warmup_steps=1"
    ).succeeding()
    #expect(trained.errors.contains("no text is held out"))
    expectError(
      try folder.run("evaluate", "--model", workspace.model, "--data", "all", "--length", "16"),
      "all: the validation split has 0 tokens: expected at least 2 to measure a loss")
  }

  @Test("an unreadable file of a tokenizer is an error, and a file of another name is read alone")
  func tokenizerFiles_areAllOrNone() throws {
    try FileManager.default.createDirectory(at: folder.url("own"), withIntermediateDirectories: false)
    try FileManager.default.copyItem(
      atPath: workspace("tokenizer/tokenizer.json"), toPath: folder("own/tokenizer.json"))
    try folder.write("own/tokenizer_config.json", text: #"{"added_tokens_decoder": {}}"#)
    try FileManager.default.createDirectory(at: folder.url("own/added_tokens.json"), withIntermediateDirectories: false)
    try folder.write("text.txt", text: "In the beginning")
    let reason = "\(folder("own/added_tokens.json")): is a folder: expected a file"
    func prepare(_ tokenizer: String) throws -> Executable.Result {
      try folder.run("data", "prepare", "--tokenizer", tokenizer, "--output", "out", "text.txt")
    }
    let prepared = try prepare("own")
    #expect(prepared.status == 1 && prepared.errors.hasSuffix("Error: \(reason)\n"), "\(prepared.errors)")
    expectError(
      try folder.run("init", "--config", "\(workspace.model)/config.json", "--tokenizer", "own", "--output", "model"),
      reason)
    #expect(!folder.exists("model"))
    try FileManager.default.moveItem(at: folder.url("own/tokenizer.json"), to: folder.url("own/other.json"))
    try FileManager.default.removeItem(at: folder.url("out"))
    #expect(try prepare("own/other.json").status == 0)
    #expect(folder.exists("out/tokenizer.json") && !folder.exists("out/tokenizer_config.json"))
  }

  @Test("byte lengths that contradict the tokenizer are refused")
  func evaluate_damagedByteLengths() throws {
    try FileManager.default.copyItem(atPath: workspace("tokens"), toPath: folder("tokens"))
    let file = folder.url("tokens/token_bytes.npy")
    let good = try Data(contentsOf: file)
    func evaluate(_ id: Int, _ length: Int64) throws -> Executable.Result {
      var bytes = good
      withUnsafeBytes(of: length.littleEndian) { bytes.replaceSubrange((128 + 8 * id)..<(136 + 8 * id), with: $0) }
      try bytes.write(to: file)
      return try Executable.run(
        "evaluate", "--model", workspace.model, "--data", folder("tokens"), "--length", "16")
    }
    expectError(try evaluate(7, -1), "\(file.path): token 7 stands for -1 bytes: expected 0 to 2147483647")
    expectError(
      try evaluate(7, 0), "\(file.path): token 7 stands for 0 bytes: expected 1, as the tokenizer says")
    #expect(try evaluate(7, 1).status == 0)
  }

  @Test("an endless pattern, a FIFO and fractions out of range are errors")
  func prepare_endless() throws {
    try folder.write("text.txt", text: "text")
    func hold(out fraction: String) throws -> Executable.Result {
      try folder.run(
        "data", "prepare", "--tokenizer", workspace("tokenizer"), "--output", "fraction \(fraction)",
        "--validation-fraction", fraction, "text.txt")
    }
    for fraction in ["nan", "inf", "1"] {
      let result = try hold(out: fraction)
      #expect(result.status == 1 && result.errors.hasPrefix("Error: validation fraction "), "\(result.errors)")
    }
    for fraction in ["1e-300", "1e-19", "1e-18"] {
      let result = try hold(out: fraction)
      #expect(
        result.status == 0
          && result.output.hasPrefix("nothing is held out: there is too little text to take \(fraction) of it\n"),
        "\(result.output)\(result.errors)")
    }
    #expect(mkfifo(folder("fifo.txt"), 0o600) == 0)
    expectError(try prepare("fifo.txt"), "fifo.txt: is a FIFO: expected a file or a folder")
    let found = try prepare(".")
    #expect(found.status == 0 && found.output.hasPrefix("./fifo.txt: skipped, a FIFO\n"), "\(found.output)")
  }
}
