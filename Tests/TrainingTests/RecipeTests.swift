import Foundation
import TestSupport
import Testing
import WidebandLanguageModel
import WidebandVirtualWidth

@testable import WidebandData
@testable import WidebandTraining

struct RecipeTests {
  /// The text of a recipe among the fixtures.
  static func text(_ name: String = "wide") throws -> String {
    try String(contentsOf: Fixtures.url("golden/\(name).yaml"), encoding: .utf8)
  }

  private func recipe(_ changes: String..., vocabularySize: Int? = 257) throws -> Recipe {
    try Recipe(yaml: Self.text(), name: "wide.yaml", changes: changes, vocabularySize: vocabularySize)
  }

  static let presets: [URL] = {
    let folder = Fixtures.folder.deletingLastPathComponent().deletingLastPathComponent().appending(path: "configs")
    let files = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
    return files.filter { $0.pathExtension == "yaml" }.sorted { $0.path < $1.path }
  }()

  @Test func thereArePresets() {
    #expect(Self.presets.map(\.lastPathComponent).contains("quickstart-plain.yaml"))
    #expect(Self.presets.map(\.lastPathComponent).contains("quickstart-wide.yaml"))
  }

  @Test(arguments: presets) func aPresetLoads(_ url: URL) throws {
    let text = try String(contentsOf: url, encoding: .utf8)
    // Tuning starts from a model folder, which determines the model.
    let start: ModelConfiguration? =
      text.contains("\ndirect_decoding:") || text.contains("\nlora:")
      ? .init(vocabularySize: 4096, hiddenSize: 32, layerCount: 12, headCount: 4, intermediateSize: 64) : nil
    let recipe = try Recipe(
      yaml: text, name: url.lastPathComponent, changes: start == nil ? [] : ["from=somewhere"], vocabularySize: 4096,
      startingFrom: start)
    #expect(recipe.model.vocabularySize == 4096)
    #expect(recipe.data == nil)
    #expect(text.hasPrefix("# "), "a preset is headed by what it is and the command that runs it")
    #expect(text.contains("wideband train --recipe configs/\(url.lastPathComponent)"))
  }

  @Test func bothQuickstartsTrainAlike() throws {
    let texts = try ["quickstart-plain", "quickstart-wide"].map { name in
      try String(contentsOf: #require(Self.presets.first { $0.lastPathComponent == "\(name).yaml" }), encoding: .utf8)
    }
    let plain = try Recipe(yaml: texts[0], name: "plain", vocabularySize: 4096)
    var wide = try Recipe(yaml: texts[1], name: "wide", vocabularySize: 4096)
    #expect(wide.model.virtualWidth != nil)
    wide.model.virtualWidth = nil
    #expect(wide == plain)
  }

  @Test func everyKindOfValueCanBeSet() throws {
    let changed = try recipe(
      "training.steps=7", "training.seed=18446744073709551615", "optimizer.learning_rate=2.5e-4",
      "model.virtual_width.connections=static", "model.virtual_width.embedding=expanded",
      "model.tie_word_embeddings=true", "sample.prompt=\"a: b # c\"", "schedule.kind=warmup_stable_decay",
      "initial_values.reduce=average", "data=some/folder", "model.eos_token_id=[3, 4]")
    #expect(changed.training.steps == 7)
    #expect(changed.training.seed == .max)
    #expect(changed.optimizer.learningRate == 2.5e-4)
    #expect(changed.model.virtualWidth?.connections == .static)
    #expect(changed.model.virtualWidth?.embedding == .expanded)
    #expect(changed.model.isHeadTied)
    #expect(changed.sample.prompt == "a: b # c")
    #expect(changed.schedule.kind == .warmupStableDecay)
    #expect(changed.initialValues.reduce == .average)
    #expect(changed.data == "some/folder")
    #expect(changed.model.endOfTextTokens == [3, 4])
  }

  @Test func theLastChangeOfAKeyCounts() throws {
    #expect(try recipe("training.steps=7", "training.steps=9").training.steps == 9)
  }

  @Test func changesMakeMappingsThatWereNotThere() throws {
    let changed = try recipe(
      "model.multi_token_prediction.depth=2", "model.multi_token_prediction.loss_weight=0.5",
      "model.virtual_width=null", "model.virtual_width.fraction_rate=4", "model.virtual_width.slots=8",
      "model.virtual_width={fraction_rate: 2, slots: 6, embedding: wide, connections: dynamic}")
    #expect(changed.model.multiTokenPrediction == .init(depth: 2, lossWeight: 0.5))
    #expect(changed.model.virtualWidth == VirtualWidth(fractionRate: 2, slots: 6, embedding: .wide))
  }

  @Test func nullRemovesAKey() throws {
    #expect(try recipe("model.virtual_width=null").model.virtualWidth == nil)
    #expect(try recipe("data=a", "data=~").data == nil)
  }

  @Test func anEmptyTextIsNoRemoval() throws {
    #expect(try recipe("sample.prompt=\"\"").sample.prompt == "")
    #expect(try recipe("sample.prompt=").sample.prompt == "")
    #expect(try recipe("sample.prompt=\"null\"").sample.prompt == "null")
  }

  @Test("the data determine the vocabulary size if the recipe does not") func vocabularySize_default() throws {
    #expect(try recipe().model.vocabularySize == 257)
    #expect(try recipe("model.vocab_size=512").model.vocabularySize == 512)
  }

  @Test func theDataFolderIsKnownBeforeTheVocabulary() throws {
    let text = try Self.text()
    #expect(try Recipe.folders(yaml: text, name: "r", changes: []) == (nil, nil, false, false))
    #expect(
      try Recipe.folders(yaml: text, name: "r", changes: ["data=here", "from=there", "lora.rank=2"])
        == ("here", "there", true, false))
  }

  @Test(arguments: ["plain", "wide", "mixture"]) func yamlReadsBackEqual(_ name: String) throws {
    var recipe = try Recipe(yaml: Self.text(name), name: name, vocabularySize: 257)
    recipe.data = "a folder/with: odd # name's \"quotes\""
    recipe.sample.prompt = "null\n\t'καὶ' 123"
    recipe.training.seed = .max
    // Numbers whose shortest decimal form has 17 digits, large and small: a resumed run must read the same values.
    recipe.optimizer.learningRate = 0.1 + 0.2
    recipe.optimizer.weightDecay = 1.0 / 3
    recipe.optimizer.epsilon = 1.2345678901234567e-8
    recipe.optimizer.clip = 123_456_789.123456789
    recipe.schedule.floor = 5e-324
    recipe.optimizer.beta1 = 0
    recipe.optimizer.connectionRates = .init(read: 1e30, write: 0, carry: 1.0 / 3)
    let read = try Recipe(yaml: recipe.yaml(), name: "again")
    #expect(read == recipe)
  }

  @Test(arguments: ["123", "", "true", "1e3", "~", " a ", "- x", "a\n", "null"])
  func textThatLooksLikeSomethingElseReadsBackEqual(_ prompt: String) throws {
    var recipe = try recipe()
    recipe.sample.prompt = prompt
    #expect(try Recipe(yaml: recipe.yaml(), name: "again").sample.prompt == prompt)
  }

  @Test func noClippingReadsBackEqual() throws {
    let recipe = try recipe("optimizer.clip=.inf")
    #expect(recipe.optimizer.clip == .infinity)
    #expect(try Recipe(yaml: recipe.yaml(), name: "again") == recipe)
  }

  @Test func yamlIsReadable() throws {
    let text = try recipe("sample.prompt=And God", "data=here").yaml()
    #expect(text.hasPrefix("checkpoint:\n  interval: 3\n  keep: 2\ndata: \"here\"\n"))
    #expect(text.contains("\n  virtual_width:\n    connections: \"dynamic\"\n"))
    #expect(text.contains("\n  learning_rate: 0.01\n"))
  }

  @Test func dataMadeWithAnotherTokenizerAreRefused() throws {
    let folder = try TemporaryFolder()
    try folder.write("a.txt", text: String(repeating: "In the beginning. ", count: 100))
    _ = try DataPreparation([folder("a.txt")], encoder: ByteEncoder()).run(into: folder("data"))
    let dataset = try TokenDataset(folder: folder("data"), split: .train)
    #expect(message { try dataset.check(fingerprint: "bytes", vocabularySize: 257) } == "no error")
    #expect(
      message { try dataset.check(fingerprint: "other", vocabularySize: 257) }
        == "\(folder("data")): was prepared with the tokenizer bytes, not with other; prepare the data again")
    #expect(
      message { try dataset.check(fingerprint: "bytes", vocabularySize: 256) }
        == "\(folder("data")): has a vocabulary of 257 tokens, the model has 256")
  }
}
