import WidebandTorch
import WidebandVirtualWidth

/// A decoder-only transformer: Qwen3 or Qwen3-MoE, with plain residual connections or virtual width, and with any
/// number of prediction depths.
///
/// Shapes: B sequences of T tokens, a vocabulary of V tokens, a backbone of width D, and a state of n slots of C
/// channels, where a model without virtual width has n = 1 and C = D.
///
///     let model = try LanguageModel(configuration, weights: WeightStore(seed: 1))
///     let logits = try withTorch { model.logits(tokens) }
public struct LanguageModel {
  /// The architecture.
  public let configuration: ModelConfiguration
  /// The weights by their names in `model.safetensors`.
  public let weights: WeightStore

  let embedding: OverWidthEmbedding
  let memory: NGramTables?
  let layers: [Layer]
  let readout: Readout
  let head: WeightMatrix
  private let depths: [MultiTokenPrediction]

  /// The model of a configuration, with weights that the store initializes or loads.
  ///
  /// - Parameters:
  ///   - configuration: the architecture.
  ///   - weights: the store of the weights.
  ///   - start: the initial values of new weights.
  ///   - dtype: the dtype of activations; norms, router and connection coefficients are computed in float32 regardless.
  /// - Throws: `ConfigurationError` for a configuration that no model can be built from; `TorchError` for a tensor that
  ///   is missing in a checkpoint, unexpected, or of another shape.
  public init(
    _ configuration: ModelConfiguration, weights: WeightStore, start: InitialValues = .standard,
    computingIn dtype: DType = .float32
  ) throws {
    try configuration.validate()
    self.configuration = configuration
    self.weights = weights
    let model = weights.root["model"]
    let D = configuration.hiddenSize
    embedding = try OverWidthEmbedding(
      vocabularySize: configuration.vocabularySize, hiddenSize: D, width: configuration.virtualWidth, start: start,
      computingIn: dtype, in: model)
    memory = try configuration.ngramMemory.map {
      try NGramTables($0, configuration, start: start, computingIn: dtype, in: model)
    }
    layers = try (0..<configuration.layerCount).map {
      try Layer(configuration, index: $0, cacheIndex: $0, start: start, in: model["layers"][$0])
    }
    readout = try Readout(configuration, start: start, in: model)
    head =
      configuration.isHeadTied
      ? embedding.table
      : try weights.root["lm_head"].matrix("weight", configuration.vocabularySize, D, .normal(0.02))
    depths = try (0..<(configuration.multiTokenPrediction?.depth ?? 0)).map {
      try MultiTokenPrediction(configuration, depth: $0, start: start, in: model["mtp"][$0])
    }
    try weights.requireNothingLeft()
    for (name, matrix) in weights.matrices where matrix.scheme != configuration.quantization {
      let expected =
        configuration.quantization.map { "quantization_config says \($0)" } ?? "there is no quantization_config"
      throw ConfigurationError.quantizationMismatch(
        "\(expected), but tensor '\(name)' is \(matrix.scheme.map { "in \($0)" } ?? "of floats")")
    }
  }

  /// The state `[B, T, n, C]` that enters the first layer, for integer tokens `[B, T]`.
  ///
  /// - Parameter context: the context of the pass, which has its tokens' n-grams afterwards.
  public func embedded(_ tokens: Tensor, in context: ForwardContext) -> Tensor {
    let state = embedding(tokens)
    guard let memory else { return state }
    return memory.added(lookUp(tokens, with: memory, in: context), to: state)
  }

  /// The n-grams' rows of a pass over integer tokens `[B, T]`, which are looked up once.
  private func lookUp(_ tokens: Tensor, with memory: NGramTables, in context: ForwardContext) -> Tensor {
    if let rows = context.memory { return rows }
    let previous = context.previousTokens ?? memory.previous(of: tokens, positions: context.positions)
    let rows = memory(tokens, previous: previous)
    context.memory = rows
    return rows
  }

  /// Looks up the n-grams of tokens `[B, T]` for a pass that does not begin with the first layer, if its layers need them.
  public func lookUpMemory(_ tokens: Tensor, in context: ForwardContext) {
    if let memory, memory.entersEveryLayer { _ = lookUp(tokens, with: memory, in: context) }
  }

  /// The state `[B, T, n, C]` after consecutive layers, from the state that enters them.
  ///
  /// The context has the tokens' n-grams from `embedded` or `lookUpMemory`, if the model has tables of them.
  public func run(_ range: Range<Int>, from state: consuming Tensor, in context: ForwardContext) -> Tensor {
    // Consumed by each layer: a wide state may be the largest tensor after the weights.
    var state = State(state)
    for index in range {
      if let memory, let rows = context.memory { state = State(memory.added(rows, to: state.tensor, layer: index)) }
      state = layers[index](consume state, in: context)
    }
    return state.tensor
  }

  /// The state `[B, T, n, C]` after the last layer, for integer tokens `[B, T]`; with the gate of direct decoding if
  /// the context has one.
  public func trunk(_ tokens: Tensor, in context: ForwardContext) -> Tensor {
    guard let gate = context.gate else {
      return run(0..<layers.count, from: embedded(tokens, in: context), in: context)
    }
    let groups = gate.split.groups(layerCount: layers.count)
    let encoded = run(groups.encoding, from: embedded(tokens, in: context), in: context)
    let thought = run(groups.thinking, from: encoded, in: context)
    return run(groups.decoding, from: gate(encoded: encoded, thought: thought), in: context)
  }

  /// Logits `[B, T, V]` from the state after the last layer, in float32.
  public func logits(of state: Tensor) -> Tensor { headLogits(readout(state)) }

  /// Logits `[..., V]` from the head's input `[..., D]`, in float32.
  func headLogits(_ output: Tensor) -> Tensor { output.linear(head).to(.float32) }

  /// Logits `[B, T, V]` of the next token, for integer tokens `[B, T]`.
  public func logits(_ tokens: Tensor) -> Tensor {
    logits(
      of: trunk(tokens, in: ForwardContext(length: tokens.size(1), configuration: configuration, on: tokens.device)))
  }

  /// The head's input `[B, T, D]` of each prediction depth: at position t, depth k (from 0) is given `targets[t+k]` and
  /// predicts `targets[t+k+1]`.
  ///
  /// Where a target is ignored, the depths are given the row's next token. Positions after the end of a row wrap around
  /// to its start; the loss does not include them.
  func mtpOutputs(from state: Tensor, tokens: Tensor, targets: Tensor, in context: ForwardContext) -> [Tensor] {
    var state = state
    let known = Tensor.where(targets .< 0, tokens.rolled(-1, axis: 1), targets)
    return depths.indices.map { k in
      state = mtpState(k, from: state, knowing: known.rolled(-k, axis: 1), in: context)
      return depths[k].readout(state)
    }
  }

  /// The state `[B, T, n, C]` of prediction depth k.
  ///
  /// - Parameters:
  ///   - k: the depth, from 0.
  ///   - state: the state of depth k - 1, or the state after the last layer for k = 0.
  ///   - tokens: the tokens `[B, T]` k + 1 positions later, which the depth is given.
  ///   - context: the context of the pass.
  public func mtpState(_ k: Int, from state: Tensor, knowing tokens: Tensor, in context: ForwardContext) -> Tensor {
    depths[k](state, embedded: embedding(tokens), in: context)
  }

  /// Logits `[B, T, V]` of the token k + 2 positions later, from the state of prediction depth k, in float32.
  public func mtpLogits(_ k: Int, of state: Tensor) -> Tensor {
    headLogits(depths[k].readout(state))
  }
}
