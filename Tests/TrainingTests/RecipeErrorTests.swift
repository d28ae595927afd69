import TestSupport
import Testing

@testable import WidebandTraining

/// The error messages of invalid recipes.
struct RecipeErrorTests {
  private func error(_ changes: [String], of text: String? = nil, vocabularySize: Int? = 257) -> String {
    message {
      _ = try Recipe(
        yaml: text ?? RecipeTests.text(), name: "r.yaml", changes: changes, vocabularySize: vocabularySize)
    }
  }

  @Test(arguments: [
    ("training.stepz=3", "there is no key 'training.stepz'; the nearest is 'training.steps'"),
    ("trainin.steps=3", "there is no key 'trainin'; the nearest is 'training'"),
    (
      "model.virtual_width.slot=3",
      "there is no key 'model.virtual_width.slot'; the nearest is 'model.virtual_width.slots'"
    ),
    ("model.hidden=3", "there is no key 'model.hidden'; the nearest is 'model.hidden_act'"),
    ("optimizer.lr=3", "there is no key 'optimizer.lr'; the nearest is 'optimizer.clip'"),
    ("training.steps.more=3", "training.steps has no keys below it"),
    ("training.=3", "there is no key 'training.'; the nearest is 'training.seed'"),
  ])
  func aWrongKeyOfAChangeSuggestsTheNearest(_ change: String, _ sentence: String) {
    #expect(error([change]) == "--set \(change): \(sentence)")
  }

  @Test func aChangeNeedsAKeyAndAValue() {
    #expect(error(["training.steps"]) == "--set training.steps: expected key.path=value")
    #expect(error(["=3"]) == "--set =3: expected key.path=value")
    #expect(error(["training.steps=[1"]).hasPrefix("--set training.steps=[1: malformed YAML: "))
  }

  @Test func aWrongKeyOfTheFileSuggestsTheNearest() throws {
    let text = try RecipeTests.text().replacing("tokens_per_step", with: "token_per_step")
    #expect(
      error([], of: text)
        == "r.yaml: there is no key 'training.token_per_step'; the nearest is 'training.tokens_per_step'")
  }

  @Test func textOfARecipeHasNoZeroByte() throws {
    #expect(error([], of: "data: \"a\\0b\"") == "r.yaml: line 1: a text has a zero byte")
    let deep = String(repeating: "[", count: 20_000)
    #expect(error([], of: deep).hasSuffix("more than 32 levels"))
  }

  @Test func textThatIsNoRecipe() {
    #expect(error([], of: "a: [b") == "r.yaml: line 2: malformed YAML: did not find expected ',' or ']'")
    #expect(error([], of: "- a") == "r.yaml: is a list: expected a mapping of keys to values")
    #expect(error([], of: "just words") == "r.yaml: is 'just words': expected a mapping of keys to values")
    #expect(error([], of: "", vocabularySize: nil) == "r.yaml: model is missing")
    #expect(
      error([], of: "model:\n\thidden_size: 3")
        == "r.yaml: line 2: malformed YAML: found character that cannot start any token")
  }

  @Test(arguments: [
    ("training.steps=null", "training.steps is missing"),
    ("optimizer=null", "optimizer is missing"),
    ("model.hidden_size=null", "model.hidden_size is missing"),
    ("training.steps=many", "training.steps is 'many': expected an integer"),
    ("training.steps=1.5", "training.steps is 1.5: expected an integer"),
    ("training.steps=[1]", "training.steps is a list: expected an integer"),
    ("training.steps={a: 1}", "training.steps is an object: expected an integer"),
    (
      "training.steps=99999999999999999999",
      "training.steps is 99999999999999999999: expected an integer from -9223372036854775808 to 9223372036854775807"
    ),
    ("training.seed=-1", "training.seed is -1: expected an integer from 0 to 18446744073709551615"),
    ("optimizer.learning_rate=fast", "optimizer.learning_rate is 'fast': expected a number"),
    ("model.tie_word_embeddings=7", "model.tie_word_embeddings is 7: expected true or false"),
    ("sample.prompt=[a]", "sample.prompt is a list: expected a string"),
    ("optimizer=3", "optimizer is 3: expected an object"),
    ("model.virtual_width=wide", "model.virtual_width is 'wide': expected an object"),
    ("schedule.kind=linear", "schedule.kind is 'linear': expected one of cosine, warmup_stable_decay, constant"),
    (
      "model.virtual_width.embedding=narrow",
      "model.virtual_width.embedding is 'narrow': expected one of wide, expanded"
    ),
    ("model.hidden_act=gelu", "model.hidden_act is 'gelu': expected silu"),
    ("model.model_type=llama", "model.model_type is 'llama': expected qwen3, qwen3_moe or wideband"),
  ])
  func aValueOfTheWrongKind(_ change: String, _ sentence: String) {
    #expect(error([change]) == "r.yaml: \(sentence)")
  }

  @Test(arguments: [
    ("model.virtual_width.slots=1", "model.virtual_width.slots is 1: expected at least fraction_rate, which is 2"),
    (
      "model.virtual_width.fraction_rate=3",
      "model.virtual_width.fraction_rate is 3: expected a divisor of hidden_size, which is 16"
    ),
    (
      "model.num_key_value_heads=3",
      "model.num_key_value_heads is 3: expected a divisor of num_attention_heads, which is 2"
    ),
    ("training.steps=0", "training.steps is 0: expected an integer from 1 to 1000000000000"),
    ("training.sequence_length=1", "training.sequence_length is 1: expected an integer from 2 to 1073741824"),
    (
      "training.sequence_length=128",
      "training.sequence_length is 128: expected at most model.max_position_embeddings, which is 64"
    ),
    (
      "training.tokens_per_step=100",
      "training.tokens_per_step is 100: expected a multiple of training.sequence_length, which is 32"
    ),
    (
      "training.tokens_per_step=0", "training.tokens_per_step is 0: expected an integer from 1 to 1099511627776"
    ),
    ("training.rows_per_batch=3", "training.rows_per_batch is 3: expected a divisor of the 4 rows of a step"),
    ("training.rows_per_batch=0", "training.rows_per_batch is 0: expected an integer from 1 to 1048576"),
    ("optimizer.learning_rate=0", "optimizer.learning_rate is 0.0: expected a number from 1.2e-38 to 3.4e+38"),
    ("optimizer.learning_rate=.inf", "optimizer.learning_rate is Infinity: expected a number"),
    ("optimizer.connection_rate=1", "optimizer.connection_rate is 1: expected an object"),
    (
      "optimizer.connection_rate.carry=-1",
      "optimizer.connection_rate.carry is -1.0: expected a number from 0 to 3.4e+38"
    ),
    (
      "training.trained_weights=some",
      "training.trained_weights is 'some': expected one of all, width, connections_and_norms"
    ),
    ("optimizer.memory_rate=-1", "optimizer.memory_rate is -1.0: expected a number from 0 to 3.4e+38"),
    (
      "model.ngram_memory={orders: [3, 2], rows: 7}",
      "model.ngram_memory.orders is [3, 2]: expected ascending lengths of n-grams, such as [2, 3]"
    ),
    (
      "model.ngram_memory={orders: [2], row: 7}",
      "there is no key 'model.ngram_memory.row'; the nearest is 'model.ngram_memory.rows'"
    ),
    (
      "model.ngram_memory={orders: [2], rows: 7, norm: true}",
      "initial_values.memory is 0.0: expected more than 0 with model.ngram_memory.norm, as a norm of zeros changes "
        + "abruptly at the first step"
    ),
    ("optimizer.beta1=1", "optimizer.beta1 is 1.0: expected at least 0 and less than 1"),
    ("optimizer.beta2=-0.1", "optimizer.beta2 is -0.1: expected at least 0 and less than 1"),
    ("optimizer.epsilon=0", "optimizer.epsilon is 0.0: expected a number from 1.2e-38 to 3.4e+38"),
    ("optimizer.weight_decay=-1", "optimizer.weight_decay is -1.0: expected a number from 0 to 3.4e+38"),
    ("optimizer.clip=0", "optimizer.clip is 0.0: expected a number from 1.2e-38 to 3.4e+38"),
    ("optimizer.clip=.nan", "optimizer.clip is NaN: expected a number"),
    ("schedule.floor=2", "schedule.floor is 2.0: expected a number from 0 to 1"),
    ("schedule.decay_fraction=-1", "schedule.decay_fraction is -1.0: expected a number from 0 to 1"),
    ("schedule.warmup_steps=21", "schedule.warmup_steps is 21: expected 0 to training.steps, which is 20"),
    ("schedule.warmup_steps=-1", "schedule.warmup_steps is -1: expected 0 to training.steps, which is 20"),
    ("validation.interval=0", "validation.interval is 0: expected an integer from 1 to 1000000000000"),
    ("validation.tokens=31", "validation.tokens is 31: expected at least training.sequence_length, which is 32"),
    ("checkpoint.interval=0", "checkpoint.interval is 0: expected an integer from 1 to 1000000000000"),
    ("checkpoint.keep=0", "checkpoint.keep is 0: expected an integer from 1 to 1000000000000"),
    ("sample.interval=-1", "sample.interval is -1: expected an integer from 0 to 1000000000000"),
    ("sample.tokens=0", "sample.tokens is 0: expected an integer from 1 to 1073741824"),
    ("initial_values.embedding=-1", "initial_values.embedding is -1.0: expected a number from 0 to 1000000000000"),
    ("initial_values.linear=.nan", "initial_values.linear is NaN: expected a number"),
  ])
  func sizesThatDoNotFit(_ change: String, _ sentence: String) {
    #expect(error([change]) == "r.yaml: \(sentence)")
  }
}
