import Torch
import VirtualWidth

/// One extra prediction depth: from the state of the depth before it and the token that this one already knows, the
/// state that predicts one token further.
///
///     S = P [RMSNorm(H) ; RMSNorm(E)]      per slot, P [C, 2C] shared by all slots
///
/// followed by one layer of the model's own kind and a readout; the head is the model's. Norms are over D'.
/// Source: arXiv 2511.11238, section 3.4; the order of depths is DeepSeek-V3's, arXiv 2412.19437.
struct MultiTokenPrediction {
  private let hiddenNorm: Tensor
  private let embeddingNorm: Tensor
  private let mix: WeightMatrix
  private let layer: Layer
  let readout: Readout
  private let epsilon: Double

  /// The depth whose weights lie in `scope` ("model.mtp.k").
  init(_ configuration: ModelConfiguration, depth: Int, start: InitialValues, in scope: Scope) throws {
    let D = configuration.hiddenSize
    let wide = configuration.virtualWidth?.width(hiddenSize: D) ?? D
    let C = configuration.virtualWidth?.slotWidth(hiddenSize: D) ?? D
    epsilon = configuration.normEpsilon
    hiddenNorm = try scope["hidden_norm"].precise("weight", [wide], .ones)
    embeddingNorm = try scope["embedding_norm"].precise("weight", [wide], .ones)
    mix = try scope["proj"].matrix("weight", C, 2 * C, start.linear(inputs: 2 * C))
    layer = try Layer(
      configuration, index: 0, memoryIndex: configuration.layerCount + depth, start: start, in: scope["layers"][0])
    readout = try Readout(configuration, start: start, in: scope)
  }

  /// The next depth's state `[B, T, n, C]` from the last one's and the embedding of the token it knows.
  func callAsFunction(_ state: Tensor, embedded: Tensor, in pass: Pass) -> Tensor {
    let hidden = state.flattened(-2).rmsNorm(hiddenNorm, epsilon: epsilon).reshaped(state.shape)
    let known = embedded.flattened(-2).rmsNorm(embeddingNorm, epsilon: epsilon).reshaped(state.shape)
    return layer(State(Tensor.concatenate([hidden, known], axis: -1).linear(mix)), in: pass).tensor
  }
}
