import WidebandCheckedInput
import WidebandLanguageModel

extension ScalingPlan.Work {
  /// The work of a step of a recipe.
  ///
  /// - Parameter recipe: a recipe that trains all weights, with ordinary losses.
  public init(_ recipe: Recipe) {
    let training = recipe.training, model = recipe.model
    let cost = ModelCost(model, contextLength: training.sequenceLength)
    let recomputes = training.activationCheckpointing == true
    let outsideOfLayers = cost.parts.filter { ["embedding", "reduce", "output head"].contains($0.name) }
    let repeated = recomputes ? cost.operations - outsideOfLayers.reduce(0) { $0 + $1.operations } : 0
    self.init(
      parameters: Double(cost.parameters), forwardOperations: cost.operations,
      stepOperations: 3 * cost.operations + repeated,
      activationElements: Self.activationElements(model, recomputesLayers: recomputes),
      tokensPerBatch: Double(training.rowsPerBatch) * Double(training.sequenceLength), batches: training.accumulation,
      exchangesEveryBatch: recipe.distributed?.exchange == .everyMicroBatch)
  }

  /// An estimate of the elements that a token's forward pass keeps for the backward pass: inputs of norms, linear maps,
  /// attention, SwiGLU and connections.
  ///
  /// Another layer stands for the derivatives in the layer whose backward pass runs. With activation checkpointing only
  /// the states between layers are kept, and one layer is computed again. The logits are not kept.
  static func activationElements(_ model: ModelConfiguration, recomputesLayers: Bool) -> Double {
    let D = Double(model.hiddenSize)
    let state = Double(model.virtualWidth?.width(hiddenSize: model.hiddenSize) ?? model.hiddenSize)
    let heads = Double(model.headCount + model.keyValueHeadCount) * Double(model.headSize)
    // A sublayer's state and norm; of a wide model also the input that was read and the output that is written.
    let sublayer = state + (model.virtualWidth == nil ? D : 3 * D)
    let shared = 2 * sublayer + 3 * heads
    let layers = model.layerCount + (model.multiTokenPrediction?.depth ?? 0)
    var total = 0.0
    var largest = 0.0
    for index in 0..<layers {
      // The layer of a prediction depth has experts if layer 0 has.
      let layer = shared + 3 * feedForwardChannels(model, layer: index < model.layerCount ? index : 0)
      total += recomputesLayers ? state : layer
      largest = max(largest, layer)
    }
    return total + (recomputesLayers ? 2 : 1) * largest + state + D
  }

  /// The channels of a token in the feed-forward sublayer of a layer.
  private static func feedForwardChannels(_ model: ModelConfiguration, layer: Int) -> Double {
    guard let experts = model.experts, model.hasExperts(layer: layer) else { return Double(model.intermediateSize) }
    return Double(experts.perToken) * Double(experts.intermediateSize)
  }
}
