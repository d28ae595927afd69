import LanguageModel

extension Recipe {
  /// Fails if sizes do not fit each other; `name` is what an error calls the recipe.
  func validate(_ name: String) throws {
    func require(_ condition: Bool, _ sentence: @autoclosure () -> String) throws {
      if !condition { throw RecipeError("\(name): \(sentence())") }
    }
    try validateDirectDecoding(require)
    try validateLowRankAdaptation(require)
    do { try model.validate() } catch let error as ConfigurationError { throw RecipeError("\(name): model.\(error)") }
    for (key, deviation) in [("embedding", initialValues.embedding), ("linear", initialValues.linear)] {
      try require(
        deviation.isFinite && deviation >= 0,
        "initial_values.\(key) is \(deviation): expected a finite number of at least 0")
    }
    let T = training.sequenceLength
    try require(training.steps >= 1, "training.steps is \(training.steps): expected at least 1")
    try require(T >= 2, "training.sequence_length is \(T): expected at least 2")
    try require(
      T <= model.contextLength,
      "training.sequence_length is \(T): expected at most model.max_position_embeddings, which is \(model.contextLength)"
    )
    try require(
      training.tokensPerStep >= T && training.tokensPerStep.isMultiple(of: T),
      "training.tokens_per_step is \(training.tokensPerStep): expected a multiple of sequence_length, which is \(T)")
    try require(
      training.rowsPerBatch >= 1 && training.rowsPerStep.isMultiple(of: training.rowsPerBatch),
      "training.rows_per_batch is \(training.rowsPerBatch): expected a divisor of the \(training.rowsPerStep) rows of a step"
    )
    try require(
      optimizer.learningRate.isFinite && optimizer.learningRate > 0,
      "optimizer.learning_rate is \(optimizer.learningRate): expected a positive number")
    try require(
      optimizer.connectionRate.isFinite && optimizer.connectionRate >= 0,
      "optimizer.connection_rate is \(optimizer.connectionRate): expected a number of at least 0")
    for (key, beta) in [("beta1", optimizer.beta1), ("beta2", optimizer.beta2)] {
      try require((0..<1).contains(beta), "optimizer.\(key) is \(beta): expected at least 0 and less than 1")
    }
    try require(optimizer.epsilon > 0, "optimizer.epsilon is \(optimizer.epsilon): expected a positive number")
    try require(
      optimizer.weightDecay.isFinite && optimizer.weightDecay >= 0,
      "optimizer.weight_decay is \(optimizer.weightDecay): expected at least 0")
    try require(optimizer.clip > 0, "optimizer.clip is \(optimizer.clip): expected a positive number")
    try require(
      (0...1).contains(schedule.floor), "schedule.floor is \(schedule.floor): expected 0 to 1")
    try require(
      (0...1).contains(schedule.decayFraction),
      "schedule.decay_fraction is \(schedule.decayFraction): expected 0 to 1")
    try require(
      schedule.warmupSteps >= 0 && schedule.warmupSteps <= training.steps,
      "schedule.warmup_steps is \(schedule.warmupSteps): expected 0 to training.steps, which is \(training.steps)")
    try require(validation.interval >= 1, "validation.interval is \(validation.interval): expected at least 1")
    try require(
      validation.tokens >= T,
      "validation.tokens is \(validation.tokens): expected at least sequence_length, which is \(T)")
    try require(checkpoint.interval >= 1, "checkpoint.interval is \(checkpoint.interval): expected at least 1")
    try require(checkpoint.keep >= 1, "checkpoint.keep is \(checkpoint.keep): expected at least 1")
    try require(sample.interval >= 0, "sample.interval is \(sample.interval): expected at least 0")
    try require(sample.tokens >= 1, "sample.tokens is \(sample.tokens): expected at least 1")
  }
}
