import Foundation
import Wideband

/// The text of `wideband plan`.
struct PlanReport {
  private let plan: ScalingPlan
  private let recipe: Recipe
  private let memoryLimit: ByteCount?

  init(_ plan: ScalingPlan, _ recipe: Recipe, memoryLimit: ByteCount?) {
    self.plan = plan
    self.recipe = recipe
    self.memoryLimit = memoryLimit
  }

  /// The whole report as aligned text.
  var text: String { (assumptions + [""] + memory + [""] + times + [""] + scaling).joined(separator: "\n") }

  private var assumptions: [String] {
    let (work, cluster) = (plan.work, plan.cluster)
    let operations = number(work.stepOperations / 1e6, 3)
    let isCPU = cluster.kind == .cpu
    return [
      "model          \(number(work.parameters, 0)) parameters with a vocabulary of \(recipe.model.vocabularySize), "
        + "\(operations) MFLOP/token forward and backward",
      "step           \(recipe.training.tokensPerStep) tokens in \(work.batches) batches, \(plan.batchesPerRank) a rank",
      "ranks          \(cluster.ranks) on \(isCPU ? "processors" : "GPUs"), machines: \(cluster.nodes)",
      "arithmetic     \(number(cluster.peakOperations / 1e12, 3)) TFLOP/s a rank, of which \(percent(cluster.utilization)) "
        + "is reached",
      "network        \(number(cluster.lineRate * 8 / 1e9, 3)) Gb/s a machine in each direction, of which "
        + "\(percent(cluster.lineEfficiency)) is reached",
      "exchange       "
        + (isCPU ? "Gloo, all-to-all and all-gather in float32" : "NCCL, reduce-scatter and all-gather in bfloat16"),
    ]
  }

  private var memory: [String] {
    var lines = [row("memory of a rank", "MB")]
    for part in plan.memory { lines.append(row(part.name, number(part.bytes / 1e6, 1))) }
    lines.append(row("total", number(plan.memoryBytes / 1e6, 1)))
    if let memoryLimit {
      let verdict = plan.memoryBytes <= Double(memoryLimit.bytes) ? "fits in" : "does not fit in"
      lines.append("\(verdict) \(memoryLimit)")
    }
    return lines
  }

  private var times: [String] {
    [
      row("a step", "s"),
      row("compute", number(plan.computeSeconds, 4)),
      row("gradients", number(plan.gradientSeconds, 4)),
      row("weights", number(plan.weightSeconds, 4)),
      row("exposed exchange", number(plan.exposedSeconds, 4)),
      row("step", number(plan.stepSeconds, 4)),
      row("efficiency", percent(plan.efficiency)),
      row("tokens/s", number(plan.tokensPerSecond, 0)),
    ]
  }

  /// The same step on other numbers of machines: powers of two up to that of the plan.
  private var scaling: [String] {
    var counts: [Int] = []
    for count in sequence(first: 1, next: { $0 * 2 }).prefix(while: { $0 < plan.cluster.nodes }) {
      counts.append(count)
    }
    counts.append(plan.cluster.nodes)
    var lines = [row("the same step on", ["ranks", "MB a rank", "step s", "efficiency"])]
    for count in counts {
      var cluster = plan.cluster
      cluster.nodes = count
      let name = "\(count) \(count == 1 ? "machine" : "machines")"
      guard let other = ScalingPlan(plan.work, on: cluster) else {
        lines.append(row(name, "\(cluster.ranks)", "\(plan.work.batches) batches are no multiple of the ranks"))
        continue
      }
      lines.append(
        row(
          name, "\(cluster.ranks)", number(other.memoryBytes / 1e6, 1), number(other.stepSeconds, 4),
          percent(other.efficiency)))
    }
    return lines
  }

  private func number(_ value: Double, _ decimals: Int) -> String { String(format: "%.\(decimals)f", value) }

  private func percent(_ fraction: Double) -> String { String(format: "%.1f%%", 100 * fraction) }

  private func row(_ name: String, _ columns: String...) -> String { row(name, columns) }

  private func row(_ name: String, _ columns: [String]) -> String {
    let first = name + String(repeating: " ", count: max(0, 18 - name.count))
    return columns.reduce(first) { $0 + "  " + String(repeating: " ", count: max(0, 11 - $1.count)) + $1 }
  }
}
