import WidebandTorch

/// The losses of one batch. Each is a scalar tensor in nats.
public struct Losses {
  /// The weighted sum of the losses, which is optimized.
  public let total: Tensor
  /// The mean next-token loss.
  public let nextToken: Tensor
  /// The next-token loss at each position `[B, T]`, detached; nil unless the pass has a gate.
  public let positions: Tensor?
  /// The mean KL divergence from the teacher's distributions; nil without a teacher.
  public let distillation: Tensor?
  /// The mean loss of each prediction depth, from the token after the next on.
  public let mtp: [Tensor]
  /// The load-balancing loss of the experts; nil without experts.
  public let balance: Tensor?

  /// Combines the losses of a model into the total, see `LanguageModel.losses`.
  init(
    nextToken: Tensor, positions: Tensor?, distillation: Tensor?, mtp: [Tensor], balance: Tensor?,
    _ configuration: ModelConfiguration
  ) {
    var total = distillation ?? nextToken
    if let prediction = configuration.multiTokenPrediction {
      let weight = prediction.lossWeight / Double(prediction.depth)
      for loss in mtp { total = total + loss * weight }
    }
    if let experts = configuration.experts, let balance { total = total + balance * experts.balanceLossWeight }
    self.total = total
    self.nextToken = nextToken
    self.positions = positions
    self.distillation = distillation
    self.mtp = mtp
    self.balance = balance
  }

  /// All losses by name: `total`, `next_token`, `distillation`, `next_2_token` …, `load_balancing`.
  public var named: [(name: String, value: Tensor)] {
    var all = [("total", total), ("next_token", nextToken)]
    if let distillation { all.append(("distillation", distillation)) }
    for (k, loss) in mtp.enumerated() { all.append(("next_\(k + 2)_token", loss)) }
    if let balance { all.append(("load_balancing", balance)) }
    return all
  }
}

extension LanguageModel {
  /// The training losses of tokens `[B, T]` and targets `[B, T]`, the tokens that follow them.
  ///
  ///     total = next token + w/K Σ_k depth k + c · balance
  ///
  /// The loss of depth k leaves out the last k + 1 positions of a row. All means leave out targets of -100.
  ///
  /// - Parameters:
  ///   - tokens: integer tokens `[B, T]`.
  ///   - targets: integer targets `[B, T]`; -100 where nothing is to be predicted.
  ///   - context: the context of the pass.
  ///   - teacherLogits: the logits `[B, T, V]` of a teacher, only for a pass with a gate: the mean of KL(teacher ‖
  ///     model) then replaces the next-token loss in the total.
  public func losses(
    _ tokens: Tensor, targets: Tensor, in context: ForwardContext, distilling teacherLogits: Tensor? = nil
  ) -> Losses {
    let state = trunk(tokens, in: context)
    let output = readout(state)
    var positions: Tensor?
    var distillation: Tensor?
    let nextToken: Tensor
    if context.gate == nil {
      nextToken = crossEntropy(of: output, targets)
    } else {
      let logits = headLogits(output).flattened(0, 1)
      let each = logits.crossEntropies(targets.flattened())
      nextToken = Self.mean(each, over: targets.flattened())
      positions = each.detached().reshaped(targets.shape)
      distillation = teacherLogits.map { teacher in
        Self.mean(logits.divergences(from: teacher.flattened(0, 1)), over: targets.flattened())
      }
    }
    let mtp = mtpLosses(from: state, tokens: tokens, targets: targets, in: context)
    var balance: Tensor?
    if let experts = configuration.experts, experts.balanceLossWeight > 0, !context.routerLogits.isEmpty {
      balance = MixtureOfExperts.balanceLoss(context.routerLogits, experts, without: context.padding)
    }
    return Losses(
      nextToken: nextToken, positions: positions, distillation: distillation, mtp: mtp, balance: balance,
      configuration)
  }

  /// The mean cross-entropy of the head's input `[B, T, D]` and targets `[B, T]`; targets of -100 are left out.
  private func crossEntropy(of x: Tensor, _ targets: Tensor) -> Tensor {
    x.fusedCrossEntropy(head: head, targets: targets)
      ?? headLogits(x).flattened(0, 1).crossEntropy(targets.flattened())
  }

  /// The mean of `rows` `[N]` over those whose target is not ignored; 0 if all are.
  private static func mean(_ rows: Tensor, over targets: Tensor) -> Tensor {
    let isCounted = (targets .< 0).not().to(rows.dtype)
    let count = isCounted.sum()
    return (rows * isCounted).sum() / (count + (count .== 0).to(count.dtype))
  }

  /// The mean loss of each prediction depth, from the state `[B, T, n, C]` after the last layer. Depths that reach
  /// beyond the rows are left out.
  public func mtpLosses(from state: Tensor, tokens: Tensor, targets: Tensor, in context: ForwardContext) -> [Tensor] {
    let length = targets.size(1)
    let outputs = mtpOutputs(from: state, tokens: tokens, targets: targets, in: context)
    return outputs.prefix(max(0, length - 1)).enumerated().map { k, output in
      crossEntropy(of: output.slice(1, 0..<(length - 1 - k)), targets.slice(1, (k + 1)...))
    }
  }
}
