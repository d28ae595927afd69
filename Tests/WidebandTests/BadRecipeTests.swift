import TestSupport
import Testing

/// Recipes that are refused: one sentence, status 1, and no run folder.
final class BadRecipeTests: WorkspaceTests {
  private func expectError(_ sentence: String, recipe: String? = nil, data: String = "tokens", _ set: String? = nil)
    throws
  {
    let recipe = recipe ?? workspace("recipe.yaml")
    let change = set.map { "--set=\($0)" } ?? "--set=training.seed=1"
    let result = try folder.run("train", "--recipe", recipe, "--data", workspace(data), "--output", "run", change)
    WidebandTests.expectError(result, sentence)
    #expect(!folder.exists("run"))
  }

  @Test func recipe_missing() throws {
    let path = folder("nowhere.yaml")
    try expectError("\(path): cannot be read: No such file or directory", recipe: "nowhere.yaml")
  }

  @Test func recipe_malformed() throws {
    try folder.write("bad.yaml", text: "model: [16\n")
    try expectError(
      "bad.yaml: line 2: malformed YAML: did not find expected ',' or ']'", recipe: "bad.yaml")
  }

  @Test func recipe_wrongKey() throws {
    try expectError(
      "--set training.stepz=3: there is no key 'training.stepz'; the nearest is 'training.steps'", "training.stepz=3")
  }

  @Test("a sample that cannot be generated is refused before the first step")
  func aSampleThatDoesNotFit() throws {
    let recipe = workspace("recipe.yaml")
    let result = try folder.run(
      "train", "--recipe", recipe, "--data", workspace("tokens"), "--output", "run", "--set", "sample.interval=2",
      "--set", "sample.prompt=\(String(repeating: "x ", count: 500))")
    #expect(result.errors.hasPrefix("Error: \(recipe): sample.prompt has "), "\(result.errors)")
    #expect(result.errors.contains(" tokens: expected at most ") && result.status == 1)
    #expect(!folder.exists("run"))
  }

  @Test(arguments: [
    ("virtual_width.slots", 1, "at least fraction_rate, which is 2"),
    ("virtual_width.fraction_rate", 3, "a divisor of hidden_size, which is 16"),
    ("num_key_value_heads", 3, "a divisor of num_attention_heads, which is 2"),
  ])
  func model_invalid(key: String, value: Int, expected: String) throws {
    try expectError(
      "\(workspace("recipe.yaml")): model.\(key) is \(value): expected \(expected)", "model.\(key)=\(value)")
  }

  @Test func vocabulary_tooSmall() throws {
    try expectError(
      "\(workspace("tokens")): has a vocabulary of 320 tokens, the model has 100", "model.vocab_size=100")
  }

  @Test func data_missing() throws {
    try expectError("\(workspace("nowhere")): holds no prepared data: there is no data.json", data: "nowhere")
    let result = try folder.run("train", "--recipe", workspace("recipe.yaml"), "--output", "run")
    WidebandTests.expectError(result, "\(workspace("recipe.yaml")): no data: expected --data or a key 'data'")
  }

  @Test func device_unknown() throws {
    let result = try folder.run(
      "train", "--recipe", workspace("recipe.yaml"), "--data", workspace("tokens"), "--output", "run", "--device",
      "tpu")
    WidebandTests.expectError(result, "unknown device 'tpu': expected cpu, cuda, cuda:N or mps")
    #expect(!folder.exists("run"))
  }

  @Test func device_missing() throws {
    // No machine has this many devices.
    let result = try Executable.run(
      "evaluate", "--model", workspace.model, "--data", workspace("tokens"), "--device", "cuda:99")
    #expect(result.status == 1)
    #expect(result.errors.hasPrefix("Error: device 'cuda:99' is not available: "))
    #expect(result.errors.split(separator: "\n").count == 1)
  }
}
