import WidebandLanguageModel
import WidebandTorch
import WidebandVirtualWidth

/// Statistics of the connections of a model with virtual width on a few tokens. They show instability before the loss
/// does.
public struct ConnectionStatistics: Sendable {
  /// The largest absolute row or column sum of the products of carries from the first layer up to each layer.
  ///
  /// It is 1 at the initial values, where every carry is the identity. Above 1 the scale of the state grows with depth.
  public let largestCarryGain: Double
  /// The mean magnitude of the token-dependent part of the coefficients, as a fraction of the sum of that and the mean
  /// magnitude of the static part: 0 to 1.
  public let dynamicShare: Double
  /// The mean over connections of the Frobenius norm of the static read coefficients of the slots after the first m; nil
  /// without such slots. It is 0 at the published initial values: no layer reads these slots then.
  public let extraReadNorm: Double?
  /// The root of the mean variance over tokens of the read coefficients of these slots; nil without such slots.
  public let extraReadDeviation: Double?

  /// Measures a forward pass over integer tokens `[B, T]`; nil for a model without virtual width.
  ///
  /// - Throws: the first error of an operator.
  public init?(_ model: LanguageModel, tokens: Tensor) throws {
    guard let width = model.configuration.virtualWidth else { return nil }
    let hasExtraSlots = width.slots > width.fractionRate
    var composite: Tensor?
    var gains: [Tensor] = []
    var dynamic: [Tensor] = []
    var constant: [Tensor] = []
    var extraNorms: [Tensor] = []
    var extraVariances: [Tensor] = []
    (largestCarryGain, dynamicShare, extraReadNorm, extraReadDeviation) = try withTorch {
      try withoutGradients {
        let context = ForwardContext(length: tokens.size(1), configuration: model.configuration, on: tokens.device)
        context.observer = { connection, state in
          guard let connection = connection as? GeneralizedHyperConnection else { return }
          let coefficients = connection.coefficients(of: state)
          let carry = coefficients.carry.to(.float32)
          composite = composite.map { $0.matmul(carry) } ?? carry
          if let composite {
            gains.append(composite.abs().sum(-1).max())
            gains.append(composite.abs().sum(-2).max())
          }
          let constants = connection.constants
          if hasExtraSlots {
            extraNorms.append(constants.read.slice(-2, width.fractionRate...).norm())
            let read = coefficients.read.to(.float32).slice(-2, width.fractionRate...)
            let tokens = read.reshaped([-1, read.size(-2) * read.size(-1)])
            extraVariances.append((tokens - tokens.mean(0)).power(2).mean())
          }
          for (sum, fixed) in [
            (coefficients.readCarry, constants.readCarry), (coefficients.writeTransposed, constants.writeTransposed),
          ] {
            dynamic.append((sum - fixed).abs().mean())
            constant.append(fixed.abs().mean())
          }
        }
        _ = model.trunk(tokens, in: context)
        let dynamicMean = Tensor.stack(dynamic).mean()
        let share = dynamicMean / (dynamicMean + Tensor.stack(constant).mean())
        return (
          try Tensor.stack(gains).max().item(), try share.item(),
          hasExtraSlots ? try Tensor.stack(extraNorms).mean().item() : nil,
          hasExtraSlots ? try Tensor.stack(extraVariances).mean().squareRoot().item() : nil
        )
      }
    }
  }
}
