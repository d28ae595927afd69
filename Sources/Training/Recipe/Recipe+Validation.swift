import WidebandCheckedInput
import WidebandLanguageModel

extension Recipe {
  /// Checks that all values are in bounds and do not contradict each other.
  ///
  /// - Parameter name: the name of the recipe in errors.
  /// - Throws: `InputError`.
  func validate(_ name: String) throws {
    let check = RecipeCheck(name: name)
    do { try model.validate() } catch let error as ConfigurationError {
      throw InputError("\(name): model.\(error)")
    }
    try validateTraining(check)
    try validateTrainedWeights(check)
    try validateOptimizer(check)
    try validateDirectDecoding(check)
    try validateLowRankAdaptation(check)
    // Initial values are several standard deviations from zero, and sums of products of them must not overflow.
    try check.number("initial_values.embedding", initialValues.embedding, in: 0...1e12)
    try check.number("initial_values.linear", initialValues.linear, in: 0...1e12)
    try check.number("initial_values.memory", initialValues.memory, in: 0...1e12)
    try check.require(
      model.ngramMemory?.isNormalized != true || initialValues.memory > 0,
      "initial_values.memory is \(initialValues.memory): expected more than 0 with model.ngram_memory.norm, as a norm "
        + "of zeros changes abruptly at the first step")
    try check.number("schedule.floor", schedule.floor, in: 0...1)
    try check.number("schedule.decay_fraction", schedule.decayFraction, in: 0...1)
    try check.require(
      schedule.warmupSteps >= 0 && schedule.warmupSteps <= training.steps,
      "schedule.warmup_steps is \(schedule.warmupSteps): expected 0 to training.steps, which is \(training.steps)")
    try check.integer("validation.interval", validation.interval, in: Limits.steps)
    try check.integer("validation.tokens", validation.tokens, in: Limits.totalTokens)
    try check.require(
      validation.tokens >= training.sequenceLength,
      "validation.tokens is \(validation.tokens): expected at least training.sequence_length, which is "
        + "\(training.sequenceLength)")
    try check.integer("checkpoint.interval", checkpoint.interval, in: Limits.steps)
    try check.integer("checkpoint.keep", checkpoint.keep, in: Limits.steps)
    try check.integer("sample.interval", sample.interval, in: 0...Limits.steps.upperBound)
    try check.integer("sample.tokens", sample.tokens, in: Limits.tokens)
  }

  private func validateTraining(_ check: RecipeCheck) throws {
    let T = training.sequenceLength
    try check.integer("training.steps", training.steps, in: Limits.steps)
    try check.integer("training.sequence_length", T, in: 2...Limits.tokens.upperBound)
    try check.require(
      T <= model.contextLength,
      "training.sequence_length is \(T): expected at most model.max_position_embeddings, which is \(model.contextLength)"
    )
    try check.integer("training.tokens_per_step", training.tokensPerStep, in: Limits.totalTokens)
    try check.require(
      training.tokensPerStep.isMultiple(of: T),
      "training.tokens_per_step is \(training.tokensPerStep): expected a multiple of training.sequence_length, which "
        + "is \(T)")
    try check.integer("training.rows_per_batch", training.rowsPerBatch, in: Limits.rows)
    try check.require(
      training.rowsPerStep.isMultiple(of: training.rowsPerBatch),
      "training.rows_per_batch is \(training.rowsPerBatch): expected a divisor of the \(training.rowsPerStep) rows of a step"
    )
    try check.require(
      Limits.batchTokens.contains(training.rowsPerBatch * T),
      "training.rows_per_batch is \(training.rowsPerBatch): expected at most \(Limits.batchTokens.upperBound) tokens at "
        + "once, in rows of \(T)")
    try check.require(
      Int.product(training.steps, training.tokensPerStep) != nil,
      "training.steps is \(training.steps) and tokens_per_step \(training.tokensPerStep): expected fewer than 2^63 "
        + "tokens in all")
  }

  private func validateTrainedWeights(_ check: RecipeCheck) throws {
    guard let choice = training.trainedWeights, choice != .all else { return }
    let key = "training.trained_weights is \(choice.rawValue)"
    try check.require(lora == nil, "\(key): expected all with lora, which trains its adapters alone")
    try check.require(
      choice != .width || model.virtualWidth != nil || model.ngramMemory != nil,
      "\(key): expected a model with virtual_width or ngram_memory")
  }

  private func validateOptimizer(_ check: RecipeCheck) throws {
    try check.number("optimizer.learning_rate", optimizer.learningRate, in: Limits.positiveFloats)
    for (key, factor) in optimizer.rates { try check.number("optimizer.\(key)", factor, in: Limits.floats) }
    try check.number("optimizer.weight_decay", optimizer.weightDecay, in: Limits.floats)
    for (key, factor) in optimizer.rates + [("weight_decay", optimizer.weightDecay)] {
      try check.require(
        Limits.floats.contains(optimizer.learningRate * factor),
        "optimizer.learning_rate is \(optimizer.learningRate) and \(key) \(factor): expected a product of at most "
          + "\(Limits.floats.upperBound)")
    }
    for (key, beta) in [("beta1", optimizer.beta1), ("beta2", optimizer.beta2)] {
      try check.require((0..<1).contains(beta), "optimizer.\(key) is \(beta): expected at least 0 and less than 1")
    }
    try check.number("optimizer.epsilon", optimizer.epsilon, in: Limits.positiveFloats)
    if optimizer.clip != .infinity { try check.number("optimizer.clip", optimizer.clip, in: Limits.positiveFloats) }
  }
}

/// Checks of a recipe's values.
struct RecipeCheck {
  /// The name of the recipe in errors.
  let name: String

  func require(_ condition: Bool, _ sentence: @autoclosure () -> String) throws {
    if !condition { throw InputError("\(name): \(sentence())") }
  }

  func integer(_ key: String, _ value: Int, in range: ClosedRange<Int>) throws {
    try require(range.contains(value), "\(key) is \(value): expected an integer \(describe(range))")
  }

  func number(_ key: String, _ value: Double, in range: ClosedRange<Double>) throws {
    try require(range.contains(value), "\(key) is \(value): expected a number \(describe(range))")
  }
}
