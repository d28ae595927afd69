import Torch

/// The losses of one batch, each a scalar in nats.
public struct Losses {
  /// What is optimised.
  public let total: Tensor
  /// The mean over positions of the next token's loss.
  public let nextToken: Tensor
  /// The same for each prediction depth: first the token after the next, then the one after that.
  public let deeper: [Tensor]
  /// How unevenly the experts are used; nil without experts.
  public let balance: Tensor?

  /// Every loss with its name: `total`, `next_token`, `next_2_token` …, `load_balancing`.
  public var named: [(name: String, value: Tensor)] {
    var all = [("total", total), ("next_token", nextToken)]
    for (k, loss) in deeper.enumerated() { all.append(("next_\(k + 2)_token", loss)) }
    if let balance { all.append(("load_balancing", balance)) }
    return all
  }
}

extension LanguageModel {
  /// The training loss of rows of tokens `[B, T]` and the tokens that follow them, `[B, T]`.
  ///
  ///     total = next token + w/K Σ_k depth k + c · balance
  ///
  /// Depth k cannot score the last k+1 positions of a row. Targets of -100 are left out of every mean.
  public func losses(_ tokens: Tensor, targets: Tensor, in pass: Pass) -> Losses {
    let state = trunk(tokens, in: pass)
    let nextToken = crossEntropy(of: readout(state), targets)
    var total = nextToken
    let deeper = deeperLosses(from: state, targets: targets, in: pass)
    if let prediction = configuration.multiTokenPrediction {
      let weight = prediction.lossWeight / Double(prediction.depth)
      for loss in deeper { total = total + loss * weight }
    }
    var balance: Tensor?
    if let experts = configuration.experts, experts.balanceLossWeight > 0, !pass.routerLogits.isEmpty {
      let loss = MixtureOfExperts.balanceLoss(pass.routerLogits, experts)
      total = total + loss * experts.balanceLossWeight
      balance = loss
    }
    return Losses(total: total, nextToken: nextToken, deeper: deeper, balance: balance)
  }

  /// The mean loss of targets `[B, T]` for what the head sees, `[B, T, D]`; targets of -100 are left out.
  private func crossEntropy(of x: Tensor, _ targets: Tensor) -> Tensor {
    x.fusedCrossEntropy(head: head, targets: targets)
      ?? scores(x).flattened(0, 1).crossEntropy(targets.flattened())
  }

  /// The loss of each prediction depth, from the state after the last layer; depths longer than a row are left out.
  public func deeperLosses(from state: Tensor, targets: Tensor, in pass: Pass) -> [Tensor] {
    let length = targets.size(1)
    let all = deeperOutputs(from: state, targets: targets, in: pass)
    return all.prefix(max(0, length - 1)).enumerated().map { k, output in
      crossEntropy(of: output.slice(1, 0..<(length - 1 - k)), targets.slice(1, (k + 1)...))
    }
  }
}
