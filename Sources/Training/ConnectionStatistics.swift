import LanguageModel
import Torch
import VirtualWidth

/// How the connections of a wide model behave on a few tokens: what shows trouble before the loss does.
public struct ConnectionStatistics: Sendable {
  /// The largest absolute row or column sum of the product of carries from the first layer up to any layer.
  ///
  /// 1 at the start, where every carry is the identity. Growth over depth means that the state's scale does.
  public let largestCarryGain: Double
  /// The mean size of the part that depends on the token, over that part's and the constants' together: 0 to 1.
  public let dynamicShare: Double

  /// Measures one pass over integer tokens `[B, T]`; nil for a model without virtual width.
  public init?(_ model: LanguageModel, tokens: Tensor) throws {
    guard let width = model.configuration.virtualWidth else { return nil }
    let m = width.fractionRate
    var composite: Tensor?
    var gains: [Tensor] = []
    var dynamic: [Tensor] = []
    var constant: [Tensor] = []
    let (gain, share) = try withTorch {
      try withoutGradients {
        let pass = Pass(length: tokens.size(1), configuration: model.configuration, on: tokens.device)
        pass.observer = { connection, state in
          guard let connection = connection as? GeneralizedHyperConnection else { return }
          let coefficients = connection.coefficients(of: state)
          let carry = coefficients.alpha.slice(-1, m...).to(.float32)
          composite = composite.map { $0.matmul(carry) } ?? carry
          if let composite {
            gains.append(composite.abs().sum(-1).max())
            gains.append(composite.abs().sum(-2).max())
          }
          let constants = connection.constants
          for (whole, fixed) in [(coefficients.alpha, constants.alpha), (coefficients.beta, constants.beta)] {
            dynamic.append((whole - fixed).abs().mean())
            constant.append(fixed.abs().mean())
          }
        }
        _ = model.trunk(tokens, in: pass)
        let moving = Tensor.stack(dynamic).mean()
        let share = moving / (moving + Tensor.stack(constant).mean())
        return (try Tensor.stack(gains).max().item(), try share.item())
      }
    }
    largestCarryGain = gain
    dynamicShare = share
  }
}
