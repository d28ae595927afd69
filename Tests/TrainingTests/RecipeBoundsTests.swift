import Foundation
import TestSupport
import Testing
import WidebandCheckedInput

@testable import WidebandTraining

/// Values out of bounds and YAML that is no recipe are rejected with one sentence.
struct RecipeBoundsTests {
  private func error(_ changes: [String], of text: String? = nil) -> String {
    message {
      _ = try Recipe(yaml: text ?? RecipeTests.text(), name: "r.yaml", changes: changes, vocabularySize: 257)
    }
  }

  @Test(arguments: [
    "training.steps", "training.sequence_length", "training.tokens_per_step", "training.rows_per_batch",
    "validation.interval", "validation.tokens", "checkpoint.interval", "checkpoint.keep", "sample.interval",
    "sample.tokens", "schedule.warmup_steps", "model.hidden_size", "model.num_hidden_layers",
  ])
  func everyCountIsBounded(_ key: String) {
    for value in ["9223372036854775807", "-9223372036854775808", "9223372036854775806", "4611686018427387904"] {
      let sentence = error(["\(key)=\(value)"])
      #expect(sentence.hasPrefix("r.yaml: \(key) is \(value): expected "), "\(sentence)")
    }
    #expect(error(["\(key)=1e30"]) == "r.yaml: \(key) is 1e30: expected an integer")
  }

  @Test(arguments: [
    "optimizer.learning_rate", "optimizer.embedding_rate", "optimizer.memory_rate", "optimizer.connection_rate.read",
    "optimizer.connection_rate.write", "optimizer.connection_rate.carry", "optimizer.epsilon", "optimizer.weight_decay",
    "optimizer.clip", "initial_values.embedding", "initial_values.linear", "initial_values.memory",
  ])
  func everyNumberIsOneOfFloat32(_ key: String) {
    for value in ["1e39", "1e300", "-1e-3"] {
      let sentence = error(["\(key)=\(value)"])
      #expect(sentence.hasPrefix("r.yaml: \(key) is "), "\(sentence)")
      #expect(sentence.contains(": expected a number from "), "\(sentence)")
    }
    #expect(error(["\(key)=1e999"]) == "r.yaml: \(key) is 1e999: expected a number")
    #expect(error(["\(key)=.nan"]) == "r.yaml: \(key) is NaN: expected a number")
    #expect((error(["\(key)=.inf"]) == "no error") == (key == "optimizer.clip"))
  }

  @Test func whatFloat32RoundsToZeroIsRefused() {
    #expect(
      error(["optimizer.epsilon=1e-50"])
        == "r.yaml: optimizer.epsilon is 1e-50: expected a number from 1.2e-38 to 3.4e+38")
  }

  @Test func productsAreBounded() {
    #expect(
      error(["optimizer.learning_rate=1e30", "optimizer.connection_rate.read=1e30"])
        == "r.yaml: optimizer.learning_rate is 1e+30 and connection_rate.read 1e+30: expected a product of at most "
        + "3.4e+38")
    #expect(
      error(["training.steps=1000000000000", "training.tokens_per_step=1099511627776"])
        == "r.yaml: training.steps is 1000000000000 and tokens_per_step 1099511627776: expected fewer than 2^63 tokens "
        + "in all")
    #expect(
      error(["training.tokens_per_step=1073741824", "training.rows_per_batch=1048576"])
        == "r.yaml: training.rows_per_batch is 1048576: expected at most 16777216 tokens at once, in rows of 32")
  }

  @Test(arguments: ["lora={rank: 1, alpha: 1, targets: [attention]}", "direct_decoding.gate=add"])
  func modelSizes_areCheckedFirst(_ tuning: String) {
    for change in ["model.hidden_size=0", "model.num_hidden_layers=-3"] {
      let sentence = error(
        [
          "from=here", "direct_decoding.encoding_layers=0", "direct_decoding.decoding_layers=1",
          "direct_decoding.cycles=[2]", "direct_decoding.objective=cross_entropy", "direct_decoding.frozen=[]",
          "direct_decoding.gate=add", tuning, change,
        ])
      #expect(sentence.hasPrefix("r.yaml: model.\(change.dropFirst(6).prefix { $0 != "=" }) is "), "\(sentence)")
    }
  }

  @Test(arguments: [
    ("? [a, b]\n: 1", "line 1: a key is a list: expected a word"),
    ("training: {? {a: 1} : 2}", "line 1: a key is a mapping: expected a word"),
    ("training:\n  steps: 4\n  seed: 1\n  steps: 5", "line 2: the key 'steps' is there twice"),
    ("data: a\n---\ndata: b", "line 2: a second document begins: expected one"),
    ("training: {steps: !!python/object 3}", "line 1: the tag '!!python/object' means nothing here"),
    ("training: !mine {steps: 3}", "line 1: the tag '!mine' means nothing here"),
    ("training: {steps: !!int many}", "line 1: 'many' has the tag !!int"),
    ("data: *nowhere", "line 1: malformed YAML: found undefined alias"),
    ("data: \"\u{1}\"", "line 1: malformed YAML: control characters are not allowed"),
    ("\"a\u{1b}[2J\": 1", "line 1: malformed YAML: control characters are not allowed"),
    ("\"a\\e[2J\": 1", "there is no key 'a\\u{1b}[2J'; the nearest is 'data'"),
  ])
  func yamlThatIsNoRecipe(_ text: String, _ sentence: String) {
    #expect(error([], of: text) == "r.yaml: \(sentence)")
  }

  @Test func yamlThatGrowsIsRefused() {
    var lines = ["a: &a0 [0, 0]"]
    for level in 1...30 { lines.append("b\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]") }
    #expect(error([], of: lines.joined(separator: "\n")) == "r.yaml: has 60 aliases: expected at most 20")
    let few = ["data: &a [\(Array(repeating: "0", count: 20_000).joined(separator: ", "))]"]
    let text = (few + ["from: [*a, *a, *a, *a, *a, *a]"]).joined(separator: "\n")
    #expect(error([], of: text) == "r.yaml: has more than 100000 values with its aliases")
    let deep = String(repeating: "[", count: 500) + String(repeating: "]", count: 500)
    #expect(error([], of: "data: \(deep)") == "r.yaml: line 1: more than 32 levels")
  }

  @Test(arguments: [
    ("0x10", 16), ("0b101", 5), ("0o17", 15), ("1_000", 1000), ("+7", 7), ("2e1", 20), ("!!int 3", 3), ("3.0", 3),
  ])
  func integersInEveryForm(_ text: String, _ value: Int) throws {
    let recipe = try Recipe(
      yaml: RecipeTests.text(), name: "r", changes: ["training.steps=\(text)", "schedule.warmup_steps=0"],
      vocabularySize: 257)
    #expect(recipe.training.steps == value)
  }

  @Test(arguments: ["010", "1:30", "0x", "1__0", "_1", "1_", "--1", "0xfffffffffffffffff", "!!str 5"])
  func whatOnlyLooksLikeAnInteger(_ text: String) {
    let sentence = error(["training.steps=\(text)"])
    #expect(sentence.hasPrefix("r.yaml: training.steps is ") && sentence.hasSuffix(": expected an integer"))
  }

  @Test(arguments: ["123", "no", "1e3", "0x10", "2024-01-01", "a&b"]) func aWordThatIsTextStaysText(_ word: String)
    throws
  {
    let recipe = try Recipe(
      yaml: RecipeTests.text(), name: "r", changes: ["sample.prompt=\(word)", "data=\(word)"], vocabularySize: 257)
    #expect(recipe.sample.prompt == word && recipe.data == word)
  }

  @Test func aFileThatIsNoRecipe() throws {
    let folder = try TemporaryFolder()
    let path = folder("r.yaml")
    #expect(mkfifo(path, 0o600) == 0)
    #expect(message { _ = try Recipe.text(of: path) } == "\(path): is a FIFO: expected a file")
    unlink(path)
    try folder.write("r.yaml", text: "")
    #expect(truncate(path, 1 << 30) == 0)
    #expect(message { _ = try Recipe.text(of: path) } == "\(path): has 1073741824 bytes: expected at most 1048576")
    try Data([0x64, 0xFF]).write(to: URL(filePath: path))
    #expect(message { _ = try Recipe.text(of: path) } == "\(path): is not UTF-8 text")
    #expect(message { _ = try Recipe.text(of: folder.path) } == "\(folder.path): is a folder: expected a file")
  }
}
