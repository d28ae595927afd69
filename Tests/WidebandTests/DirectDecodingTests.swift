import Foundation
import TestSupport
import Testing

/// Direct decoding through the command.
struct DirectDecodingTests {
  private let folder: TemporaryFolder
  private var path: String { folder.path }

  init() throws { folder = try Workspace.shared().copyOfModel() }

  private func generate(_ arguments: String...) throws -> Executable.Result {
    try Executable.run(
      ["generate", "--model", path, "--prompt", "And God", "--temperature", "0", "--max-tokens", "12"] + arguments)
  }

  /// Adds a layer split to the folder's configuration.
  private func tune(_ split: String) throws {
    let file = folder.url("config.json")
    let text = try String(contentsOf: file, encoding: .utf8)
    let brace = try #require(text.firstIndex(of: "{"))
    let changed = text.replacingCharacters(in: brace...brace, with: "{\"direct_decoding\": \(split),")
    try Data(changed.utf8).write(to: file)
  }

  @Test func split_fromFlagsOrFolder() throws {
    let given = try generate("--cycle", "3", "--decoding-layers", "1", "--gate", "add")
    #expect(given.status == 0)
    try tune("{\"encoding_layers\": 0, \"decoding_layers\": 1, \"cycle\": 3, \"gate\": \"add\"}")
    let kept = try generate("--cycle", "3")
    #expect(kept.output == given.output)
    #expect(try generate("--cycle", "3", "--no-cache").output == given.output)
    #expect(try generate("--cycle", "3", "--gate", "add", "--decoding-layers", "1").output == given.output)
  }

  @Test func cycleOfOne_equalsOrdinaryDecoding() throws {
    #expect(try generate("--cycle", "1", "--decoding-layers", "1").output == generate().output)
  }

  @Test func stats_printsWeights() throws {
    let direct = try generate("--cycle", "4", "--decoding-layers", "1", "--stats")
    let lines = direct.errors.split(separator: "\n")
    #expect(lines.count == 3)
    #expect(lines[1].hasPrefix("reads 62.5 % of the layers a token (E 0, T 1, D 1 of 2 layers, gate select), "))
    #expect(lines[1].hasSuffix(" GB/s"))
    #expect(lines[2].hasPrefix("ordinary decoding "))
    #expect(lines[2].contains(" times as fast, by the weights at most 1."))
    let ordinary = try generate("--stats").errors.split(separator: "\n")
    #expect(ordinary.count == 2)
    #expect(ordinary[1].hasPrefix("reads 100.0 % of the layers a token, "))
  }

  @Test func draft_doesNotChangeTheText() throws {
    let drafted = try generate("--draft", "direct", "--cycle", "3", "--decoding-layers", "1", "--stats")
    #expect(try drafted.output == generate().output)
    let lines = drafted.errors.split(separator: "\n")
    #expect(lines.count == 3)
    #expect(lines[1].hasPrefix("drafts accepted by place: "))
    #expect(lines[1].hasSuffix(" tokens a pass"))
    #expect(lines[2].hasPrefix("ordinary decoding "))
    expectError(
      try generate("--draft", "prediction"),
      "multi_token_prediction is missing: expected a model with prediction depths to draft with")
    expectError(
      try generate("--draft", "direct"),
      "\(path)/config.json has no direct_decoding: expected --decoding-layers and --cycle with --draft direct")
  }

  @Test func split_invalid_isRefused() throws {
    expectError(
      try generate("--cycle", "2"),
      "\(path)/config.json has no direct_decoding: expected --decoding-layers with --cycle")
    expectError(
      try generate("--cycle", "2", "--encoding-layers", "1", "--decoding-layers", "2"),
      "--encoding-layers is 1 and --decoding-layers 2: expected together at most the model's 2 layers")
    expectError(
      try generate("--cycle", "0", "--decoding-layers", "1"), "--cycle is 0: expected from 1 to 1024", status: 64)
    expectError(
      try generate("--gate", "add"), "--gate is given without --cycle: expected both, or neither")
  }

  @Test func split_contradictingFolder_isRefused() throws {
    try tune("{\"encoding_layers\": 0, \"decoding_layers\": 1, \"cycle\": 3, \"gate\": \"add\"}")
    expectError(
      try generate("--cycle", "3", "--decoding-layers", "2"),
      "--decoding-layers is 2: expected 1, the direct_decoding.decoding_layers of \(path)/config.json, or nothing")
    expectError(
      try generate("--cycle", "3", "--gate", "select"),
      "--gate is select: expected add, the direct_decoding.gate of \(path)/config.json, or nothing")
    expectError(
      try generate("--cycle", "4"),
      "cycle is 4: expected 1 to 3, the longest that the model was tuned for (direct_decoding.cycle)")
  }
}
