import WidebandTorch

/// The mean losses of tokens by their phase in a cycle of direct decoding.
struct PhaseLosses {
  private var sums: [(nats: Double, count: Double)] = []

  /// No tokens.
  init() {}

  /// Adds the losses `[B, T]` of tokens at the phases `[1 or B, T]`; prompts and ignored targets are left out.
  ///
  /// - Throws: the first error of an operator.
  mutating func add(_ losses: Tensor, phases: Tensor, targets: Tensor) throws {
    let isCounted = (targets .< 0).not()
    // The highest phase of a batch of prompts alone is negative: then there is nothing to add.
    for phase in 0..<(1 + Int(try phases.max().item())) {
      let mask = ((phases .== phase).to(.float64) * isCounted.to(.float64)).expanded(losses.shape)
      if phase == sums.count { sums.append((0, 0)) }
      sums[phase].nats += try (losses.to(.float64) * mask).sum().item()
      sums[phase].count += try mask.sum().item()
    }
  }

  /// Sums and counts of losses and tokens by phase, for other processes.
  var values: [Double] { sums.flatMap { [$0.nats, $0.count] } }

  /// The losses with these `values`.
  init(values: [Double]) {
    sums = stride(from: 0, to: values.count - 1, by: 2).map { (values[$0], values[$0 + 1]) }
  }

  /// Adds the losses of other tokens.
  mutating func add(_ other: PhaseLosses) {
    for (phase, sum) in other.sums.enumerated() {
      if phase == sums.count { sums.append((0, 0)) }
      sums[phase].nats += sum.nats
      sums[phase].count += sum.count
    }
  }

  /// The mean of each phase that occurred, named `phase_0`, `phase_1` …
  var named: [(name: String, value: Double)] {
    sums.enumerated().filter { $1.count > 0 }.map { ("phase_\($0)", $1.nats / $1.count) }
  }
}
