import Torch
import VirtualWidth

/// A decoder-only transformer: Qwen3 or Qwen3-MoE, plain or with an over-width state, with any number of prediction
/// depths.
///
///     let model = try LanguageModel(configuration, weights: WeightStore(seed: 1))
///     let logits = try withTorch { model.logits(tokens) }
public struct LanguageModel {
  /// What the model is made of.
  public let configuration: ModelConfiguration
  /// Every weight by its name in `model.safetensors`.
  public let weights: WeightStore

  private let embedding: OverWidthEmbedding
  private let layers: [Layer]
  let readout: Readout
  let head: WeightMatrix
  private let depths: [MultiTokenPrediction]

  /// The model of a configuration, with weights that the store makes or has loaded.
  ///
  /// - Parameters:
  ///   - start: what fresh weights start from.
  ///   - dtype: the type that activations have; norms, router and connection coefficients are float32 regardless.
  /// - Throws: `ConfigurationError` for a configuration no model can be made of; `TorchError` for a tensor that a
  ///   checkpoint lacks, has in another shape, or has beyond what the configuration needs.
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
    layers = try (0..<configuration.layerCount).map {
      try Layer(configuration, index: $0, memoryIndex: $0, start: start, in: model["layers"][$0])
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
      let said =
        configuration.quantization.map { "quantization_config says \($0)" } ?? "there is no quantization_config"
      throw ConfigurationError("\(said), but tensor '\(name)' is \(matrix.scheme.map { "in \($0)" } ?? "of floats")")
    }
  }

  /// The state `[B, T, n, C]` that enters the first layer, for integer tokens `[B, T]`.
  public func embedded(_ tokens: Tensor) -> Tensor { embedding(tokens) }

  /// The state `[B, T, n, C]` after some consecutive layers, from the one before them.
  public func run(_ range: Range<Int>, from state: consuming Tensor, in pass: Pass) -> Tensor {
    // Handed on, not kept: a wide state may be the largest thing in memory beside the weights.
    var state = State(state)
    for layer in layers[range] { state = layer(consume state, in: pass) }
    return state.tensor
  }

  /// The state `[B, T, n, C]` after the last layer, for integer tokens `[B, T]`; gated where the pass says so.
  public func trunk(_ tokens: Tensor, in pass: Pass) -> Tensor {
    guard let gate = pass.gate else { return run(0..<layers.count, from: embedded(tokens), in: pass) }
    let groups = gate.split.groups(layerCount: layers.count)
    let encoded = run(groups.encoding, from: embedded(tokens), in: pass)
    let thought = run(groups.thinking, from: encoded, in: pass)
    return run(groups.decoding, from: gate(encoded: encoded, thought: thought), in: pass)
  }

  /// Logits `[B, T, V]` from the state after the last layer, in float32.
  public func logits(of state: Tensor) -> Tensor { scores(readout(state)) }

  /// Logits `[..., V]` of what the head sees, `[..., D]`, in float32.
  func scores(_ output: Tensor) -> Tensor { output.linear(head).to(.float32) }

  /// Logits `[B, T, V]` of the next token, for integer tokens `[B, T]`.
  public func logits(_ tokens: Tensor) -> Tensor {
    logits(of: trunk(tokens, in: Pass(length: tokens.size(1), configuration: configuration, on: tokens.device)))
  }

  /// What the head sees, `[B, T, D]`, of each prediction depth in turn: depth k (from 0) knows `targets[t+k]` and
  /// predicts `targets[t+k+1]`.
  ///
  /// Where a target is ignored the depths know the row's own next token. Beyond a row's end they know its start; what
  /// that leads to is never scored.
  func deeperOutputs(from state: Tensor, tokens: Tensor, targets: Tensor, in pass: Pass) -> [Tensor] {
    var state = state
    let known = Tensor.choose(targets .< 0, tokens.rolled(-1, axis: 1), targets)
    return depths.indices.map { k in
      state = deeperState(k, from: state, knowing: known.rolled(-k, axis: 1), in: pass)
      return depths[k].readout(state)
    }
  }

  /// The state `[B, T, n, C]` of prediction depth k from that of the depth before it, or after the last layer for k = 0,
  /// and the tokens `[B, T]` that it knows, k+1 places on.
  public func deeperState(_ k: Int, from state: Tensor, knowing tokens: Tensor, in pass: Pass) -> Tensor {
    depths[k](state, embedded: embedding(tokens), in: pass)
  }

  /// Logits `[B, T, V]` of the token k+2 places on, from the state of prediction depth k, in float32.
  public func deeperLogits(_ k: Int, of state: Tensor) -> Tensor {
    scores(depths[k].readout(state))
  }
}
