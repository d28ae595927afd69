import Torch

/// The losses of one batch, each a scalar in nats.
public struct Losses {
  /// What is optimised.
  public let total: Tensor
  /// The mean over positions of the next token's loss.
  public let nextToken: Tensor
  /// The next token's loss at each position, `[B, T]`, cut off from what it was made of; nil unless the pass is gated.
  public var positions: Tensor?
  /// How far the model's distributions are from those that it is to learn, the mean over positions; nil where it learns
  /// from tokens.
  public var distillation: Tensor?
  /// The same for each prediction depth: first the token after the next, then the one after that.
  public let deeper: [Tensor]
  /// How unevenly the experts are used; nil without experts.
  public let balance: Tensor?

  /// The losses of a model, of which the total is made.
  init(
    nextToken: Tensor, positions: Tensor?, distillation: Tensor?, deeper: [Tensor], balance: Tensor?,
    _ configuration: ModelConfiguration
  ) {
    var total = distillation ?? nextToken
    if let prediction = configuration.multiTokenPrediction {
      let weight = prediction.lossWeight / Double(prediction.depth)
      for loss in deeper { total = total + loss * weight }
    }
    if let experts = configuration.experts, let balance { total = total + balance * experts.balanceLossWeight }
    self.total = total
    self.nextToken = nextToken
    self.positions = positions
    self.distillation = distillation
    self.deeper = deeper
    self.balance = balance
  }

  /// Every loss with its name: `total`, `next_token`, `distillation`, `next_2_token` …,
  /// `load_balancing`.
  public var named: [(name: String, value: Tensor)] {
    var all = [("total", total), ("next_token", nextToken)]
    if let distillation { all.append(("distillation", distillation)) }
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
  /// In a gated pass the first part may be the distance to another model's distributions instead, given by its
  /// logits `[B, T, V]`: the mean over positions of KL(other ‖ this).
  public func losses(
    _ tokens: Tensor, targets: Tensor, in pass: Pass, distilling known: Tensor? = nil
  ) -> Losses {
    let state = trunk(tokens, in: pass)
    let output = readout(state)
    var positions: Tensor?
    var distillation: Tensor?
    let nextToken: Tensor
    if pass.gate == nil {
      nextToken = crossEntropy(of: output, targets)
    } else {
      let logits = scores(output).flattened(0, 1)
      let each = logits.crossEntropies(targets.flattened())
      nextToken = Self.mean(each, over: targets.flattened())
      positions = each.detached().reshaped(targets.shape)
      distillation = known.map { known in
        Self.mean(logits.divergences(from: known.flattened(0, 1)), over: targets.flattened())
      }
    }
    let deeper = deeperLosses(from: state, tokens: tokens, targets: targets, in: pass)
    var balance: Tensor?
    if let experts = configuration.experts, experts.balanceLossWeight > 0, !pass.routerLogits.isEmpty {
      balance = MixtureOfExperts.balanceLoss(pass.routerLogits, experts, without: pass.padding)
    }
    return Losses(
      nextToken: nextToken, positions: positions, distillation: distillation, deeper: deeper, balance: balance,
      configuration)
  }

  /// The mean loss of targets `[B, T]` for what the head sees, `[B, T, D]`; targets of -100 are left out.
  private func crossEntropy(of x: Tensor, _ targets: Tensor) -> Tensor {
    x.fusedCrossEntropy(head: head, targets: targets)
      ?? scores(x).flattened(0, 1).crossEntropy(targets.flattened())
  }

  /// The mean over the rows whose target is not ignored; 0 if all are.
  private static func mean(_ rows: Tensor, over targets: Tensor) -> Tensor {
    let isScored = (targets .< 0).not().to(rows.dtype)
    let count = isScored.sum()
    return (rows * isScored).sum() / (count + (count .== 0).to(count.dtype))
  }

  /// The loss of each prediction depth, from the state after the last layer; depths longer than a row are left out.
  public func deeperLosses(from state: Tensor, tokens: Tensor, targets: Tensor, in pass: Pass) -> [Tensor] {
    let length = targets.size(1)
    let all = deeperOutputs(from: state, tokens: tokens, targets: targets, in: pass)
    return all.prefix(max(0, length - 1)).enumerated().map { k, output in
      crossEntropy(of: output.slice(1, 0..<(length - 1 - k)), targets.slice(1, (k + 1)...))
    }
  }
}
