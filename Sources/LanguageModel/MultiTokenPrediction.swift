import WidebandTorch
import WidebandVirtualWidth

/// One prediction depth of multi-token prediction: it predicts one token further than the depth before it.
///
///     S = P [RMSNorm(H) ; RMSNorm(E)]      per slot, P [C, 2C] shared by all slots
///
/// H is the state of the previous depth and E the embedding of the token that it predicts. S passes through one layer
/// of the model's kind and a readout; the output head is the model's. The norms are over all n C channels. Source:
/// arXiv 2511.11238, section 3.4; the order of depths is DeepSeek-V3's, arXiv 2412.19437.
struct MultiTokenPrediction {
  private let hiddenNorm: Tensor
  private let embeddingNorm: Tensor
  private let mix: WeightMatrix
  private let layer: Layer
  let readout: Readout
  private let epsilon: Double

  /// The depth whose weights are in `scope` ("model.mtp.k").
  init(_ configuration: ModelConfiguration, depth: Int, start: InitialValues, in scope: Scope) throws {
    let D = configuration.hiddenSize
    let wide = configuration.virtualWidth?.width(hiddenSize: D) ?? D
    let C = configuration.virtualWidth?.slotWidth(hiddenSize: D) ?? D
    epsilon = configuration.normEpsilon
    hiddenNorm = try scope["hidden_norm"].float32Tensor("weight", [wide], .ones)
    embeddingNorm = try scope["embedding_norm"].float32Tensor("weight", [wide], .ones)
    mix = try scope["proj"].matrix("weight", C, 2 * C, start.linear(inputs: 2 * C))
    layer = try Layer(
      configuration, index: 0, cacheIndex: configuration.layerCount + depth, start: start, in: scope["layers"][0])
    readout = try Readout(configuration, start: start, in: scope)
  }

  /// The state `[B, T, n, C]` of this depth, from the state of the previous one and the embedding `[B, T, n, C]` of the
  /// given tokens.
  func callAsFunction(_ state: Tensor, embedded: Tensor, in context: ForwardContext) -> Tensor {
    let hidden = state.flattened(-2).rmsNorm(hiddenNorm, epsilon: epsilon).reshaped(state.shape)
    let token = embedded.flattened(-2).rmsNorm(embeddingNorm, epsilon: epsilon).reshaped(state.shape)
    return layer(State(Tensor.concatenate([hidden, token], axis: -1).linear(mix)), in: context).tensor
  }
}
