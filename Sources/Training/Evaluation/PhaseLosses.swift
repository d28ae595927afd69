import WidebandTorch

/// The mean losses of tokens by their phase in a cycle of direct decoding.
struct PhaseLosses {
  private var sums: [Double] = []
  private var counts: [Double] = []

  /// Adds the losses `[B, T]` of tokens at the phases `[1 or B, T]`; prompts and ignored targets are left out.
  ///
  /// - Throws: the first error of an operator.
  mutating func add(_ losses: Tensor, phases: Tensor, targets: Tensor) throws {
    let isCounted = (targets .< 0).not()
    // The highest phase of a batch of prompts alone is negative: then there is nothing to add.
    for phase in 0..<(1 + Int(try phases.max().item())) {
      let mask = ((phases .== phase).to(.float64) * isCounted.to(.float64)).expanded(losses.shape)
      add(try (losses.to(.float64) * mask).sum().item(), count: try mask.sum().item(), phase: phase)
    }
  }

  private mutating func add(_ sum: Double, count: Double, phase: Int) {
    while sums.count <= phase {
      sums.append(0)
      counts.append(0)
    }
    sums[phase] += sum
    counts[phase] += count
  }

  /// The mean of each phase that occurred, named `phase_0`, `phase_1` …
  var named: [(name: String, value: Double)] {
    sums.indices.filter { counts[$0] > 0 }.map { ("phase_\($0)", sums[$0] / counts[$0]) }
  }
}
