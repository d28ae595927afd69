import Foundation
import WidebandCheckedInput
import WidebandReporting

extension StudyResults {
  /// The results as Markdown tables.
  public var markdown: String {
    let sections = [
      "# \(question.onOneLine)", cost.map { "Cost: \($0.onOneLine)" } ?? "", "\(progress.capitalizedFirst).",
      armTable, runTable, connectionTable, differenceTable, budgetTable, cycleTable, fitLine,
    ]
    return sections.filter { !$0.isEmpty }.joined(separator: "\n\n") + "\n"
  }

  /// How many runs ended, in words.
  var progress: String {
    let outcomes = arms.flatMap(\.runs).map(\.outcome)
    let diverged = outcomes.count { $0 == .diverged }, missing = outcomes.count { $0 == nil }
    return "\(outcomes.count - diverged - missing) of \(runCount) runs are finished"
      + (diverged > 0 ? ", \(diverged) diverged" : "") + (missing > 0 ? ", \(missing) missing" : "")
  }

  private var armTable: String {
    let heads = [
      "arm", "best learning rate", "parameters", "operations a token", "seconds a step", "tokens/s", "peak memory, MB",
      "held-out loss, nats", "loss of the token after the next", "bits per byte", "seeds",
    ]
    let rows = arms.map { arm in
      [
        arm.name, arm.rateText, "\(arm.parameters)", String(format: "%.3g", arm.operationsPerToken),
        arm.secondsPerStep.map { String(format: "%.3g", $0) }, arm.tokensPerSecond.map { decimal($0, 0) },
        arm.peakBytes.map { "\($0 / 1_000_000)" }, arm.loss?.text(4), arm.nextTwoTokenLoss?.text(4),
        arm.bitsPerByte?.text(4), arm.loss.map { "\($0.count)" },
      ]
    }
    let note =
      "Each arm at the learning rate with the lowest mean held-out loss; ± is the standard error over seeds, – with one "
      + "seed. Operations are those of training. Times are those of steps alone, while as many runs shared the machine "
      + "as the study was started with."
    return section("Arms", note, heads, rows)
  }

  private var runTable: String {
    let seeds = Set(arms.flatMap(\.runs).map(\.seed)).sorted()
    let rows = arms.flatMap { arm in
      Set(arm.runs.map(\.learningRate)).sorted().map { rate -> [String?] in
        let runs = arm.runs.filter { $0.learningRate == rate }
        let cells = seeds.map { seed in
          runs.first { $0.seed == seed }.flatMap { run in
            run.outcome == .diverged ? "diverged" : run.loss.map { decimal($0, 4) }
          }
        }
        let isWhole = runs.allSatisfy { $0.loss != nil }
        return [arm.name, "\(rate)"] + cells + [isWhole ? Summary(runs.compactMap(\.loss))?.text(4) : nil]
      }
    }
    return section(
      "Every run", "Held-out loss of the next token in nats.",
      ["arm", "learning rate"] + seeds.map { "seed \($0)" } + ["mean"], rows)
  }

  private var connectionTable: String {
    let names = Set(arms.flatMap(\.connections.keys)).sorted()
    let rows = arms.filter { !$0.connections.isEmpty }.map { arm in
      [arm.name] + names.map { arm.connections[$0]?.text(4) }
    }
    return section("Connections", "At the last evaluation.", ["arm"] + names, rows)
  }

  private var differenceTable: String {
    let rows = differences.map { difference in
      [difference.arm, difference.reference] + difference.loss.cells
    }
    let note = "Held-out loss of the arm minus that of the other with the same seed: negative is better."
    return section("Differences", note, ["arm", "against", "mean", "standard error", "t", "n"], rows)
  }

  private var budgetTable: String {
    let rows = budgets.map { budget in
      let tokens =
        switch (budget.reached, budget.compared) {
        case (0, _): "not reached"
        case (let reached, let all) where reached < all:
          "\(budget.tokensToBaseline?.text(0) ?? "–") (\(reached) of \(all) seeds, else not reached)"
        default: budget.tokensToBaseline?.text(0) ?? "–"
        }
      return [
        budget.arm, decimal(budget.parameterRatio, 3), budget.tokens?.difference.text(4),
        budget.operations?.difference.text(4), budget.time?.difference.text(4), tokens,
      ]
    }
    let note =
      "Held-out loss of the arm minus that of \(baseline), where the run that spends less ends and on the held-out curve "
      + "of the other, with straight lines between evaluations. A curve before its end has a higher learning rate than a "
      + "run that ends there, which favors the run that spends less."
    let heads = [
      "arm", "parameters of \(baseline)'s", "at equal tokens", "at equal operations", "in equal time",
      "tokens to the final loss of \(baseline)",
    ]
    return section("Equal budgets", note, heads, rows)
  }

  private var cycleTable: String {
    let rows = arms.flatMap { arm in
      arm.cycles.map { cycle -> [String?] in
        [
          arm.name, "\(cycle.cycle)", cycle.bitsPerByte.text(4), cycle.retention?.percent, cycle.accuracy.percent,
          cycle.accuracyRetention?.percent, cycle.phases.map { decimal($0, 4) }.joined(separator: " "),
        ]
      }
    }
    let heads = ["arm", "cycle", "bits per byte", "retention", "accuracy", "retention", "bits per byte by phase"]
    return section(
      "Direct decoding", "Retention is relative to the arm before tuning, decoded one token at a time.", heads, rows)
  }

  private var fitLine: String {
    guard let fit else { return "" }
    let error = fit.slopeError.map { decimal($0, 4) } ?? "–"
    return "## Width\n\nHeld-out loss = \(decimal(fit.intercept, 4)) + b·log₂ r with b = "
      + "\(decimal(fit.slope, 4)), standard error \(error), of \(fit.count) runs; r = slots / fraction_rate."
  }

  /// A table under a heading; empty without rows.
  private func section(_ heading: String, _ note: String, _ heads: [String], _ rows: [[String?]]) -> String {
    guard !rows.isEmpty else { return "" }
    func line(_ cells: [String?]) -> String {
      // A bar would end a cell.
      "| " + cells.map { ($0 ?? "–").onOneLine.replacing("|", with: "\\|") }.joined(separator: " | ") + " |"
    }
    let lines = [line(heads), "|" + String(repeating: "---|", count: heads.count)] + rows.map(line)
    return "## \(heading)\n\n\(note)\n\n" + lines.joined(separator: "\n")
  }
}

extension StudyResults.Arm {
  /// The best learning rate, and whether it is at an end of those that were tried.
  fileprivate var rateText: String? {
    guard let learningRate else { return runs.contains { $0.outcome == .diverged } ? "diverged" : nil }
    return "\(learningRate)" + (edge.map { " (the \($0) tried)" } ?? "")
  }
}

extension Summary {
  fileprivate func text(_ places: Int) -> String {
    "\(decimal(mean, places)) ± \(standardError.map { decimal($0, places) } ?? "–")"
  }

  fileprivate var percent: String {
    "\(decimal(100 * mean, 2)) ± \(standardError.map { decimal(100 * $0, 2) } ?? "–") %"
  }
}

extension PairedDifference {
  fileprivate var cells: [String?] {
    [
      decimal(difference.mean, 4), difference.standardError.map { decimal($0, 4) }, t.map { decimal($0, 2) },
      "\(difference.count)",
    ]
  }
}

extension String {
  fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
