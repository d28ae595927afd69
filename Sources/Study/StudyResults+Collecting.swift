import Foundation
import WidebandLanguageModel
import WidebandTraining

extension StudyResults {
  /// What a study measured so far.
  public struct Measured: Sendable {
    let study: Study
    let outcomes: [StudyRun.ID: StudyOutcome]
    let measurements: [StudyRun.ID: RunMeasurements]

    /// The outcomes of the runs that ended, and what was measured in those that are finished.
    public init(
      _ study: Study, outcomes: [StudyRun.ID: StudyOutcome], measurements: [StudyRun.ID: RunMeasurements]
    ) {
      (self.study, self.outcomes, self.measurements) = (study, outcomes, measurements)
    }

    /// The learning rates of an arm, ascending.
    func rates(of arm: String) -> [Double] { Set(study.runs(of: arm).map(\.id.learningRate)).sorted() }

    /// The finished runs of an arm at a learning rate, in the order of seeds.
    func finished(_ arm: String, _ rate: Double) -> [(run: StudyRun, measured: RunMeasurements)] {
      study.runs(of: arm).filter { $0.id.learningRate == rate }
        .compactMap { run in measurements[run.id].map { (run, $0) } }
    }

    /// The learning rate of an arm with the lowest mean held-out loss over seeds, among those without a run that
    /// diverged. While runs are missing, rates with as many seeds as possible are compared.
    ///
    /// - Returns: nil if there is none. An arm of one rate needs no held-out text.
    public func bestRate(of arm: String) -> Double? {
      let diverged = Set(study.runs(of: arm).map(\.id).filter { outcomes[$0] == .diverged }.map(\.learningRate))
      let all = rates(of: arm)
      let candidates = all.filter { !diverged.contains($0) && !finished(arm, $0).isEmpty }
      if all.count == 1 { return candidates.first }
      let losses = candidates.compactMap { rate in
        Summary(finished(arm, rate).compactMap(\.measured.loss)).map { (rate: rate, loss: $0) }
      }
      let seeds = losses.map(\.loss.count).max() ?? 0
      return losses.filter { $0.loss.count == seeds }.min { $0.loss.mean < $1.loss.mean }?.rate
    }

    /// The finished runs of an arm at its best learning rate.
    func best(of arm: String) -> [(run: StudyRun, measured: RunMeasurements)] {
      bestRate(of: arm).map { finished(arm, $0) } ?? []
    }
  }

  /// Computes the results.
  public init(_ measured: Measured) {
    let plan = measured.study.plan
    (question, cost, baseline) = (plan.question, plan.cost, plan.baseline)
    runCount = measured.study.runs.count
    arms = plan.arms.compactMap { Arm($0, measured) }
    // The baseline's loss says nothing about arms that start from other weights.
    let start = plan.arm(plan.baseline)?.start
    let others = plan.arms.filter { $0.name != plan.baseline && $0.start == start }.map(\.name)
    let pairs = others.map { StudyPlan.Comparison(arm: $0, reference: plan.baseline) } + plan.comparisons
    differences = pairs.compactMap { Difference($0, measured) }
    budgets = others.compactMap { EqualBudgets($0, plan.baseline, measured) }
    let points = plan.fit.flatMap { measured.best(of: $0) }.compactMap { run, measured in
      measured.loss.map { (x: log2(run.widthFactor), y: $0) }
    }
    fit = LineFit(points)
  }
}

extension StudyResults.Arm {
  fileprivate init?(_ arm: StudyPlan.Arm, _ measured: StudyResults.Measured) {
    let all = measured.study.runs(of: arm.name)
    guard let first = all.first else { return nil }
    let rates = measured.rates(of: arm.name)
    let best = measured.best(of: arm.name).map(\.measured)
    func summary(_ name: String) -> Summary? { Summary(best.compactMap { $0.final[name] }) }
    let cost = ModelCost(first.recipe.model, contextLength: first.recipe.training.sequenceLength)
    let rate = measured.bestRate(of: arm.name)
    (name, from, learningRate) = (arm.name, arm.start, rate)
    runs = all.map { run in
      StudyResults.Run(
        learningRate: run.id.learningRate, seed: run.id.seed, outcome: measured.outcomes[run.id],
        loss: measured.measurements[run.id]?.loss,
        bitsPerByte: measured.measurements[run.id]?.final["validation/bits_per_byte"])
    }
    edge = rates.count < 2 || rate == nil ? nil : rate == rates.first ? .lowest : rate == rates.last ? .highest : nil
    widthFactor = first.widthFactor
    parameters = cost.parameters
    operationsPerToken = first.operationsPerToken
    secondsPerStep = Summary(best.compactMap(\.secondsPerStep))?.mean
    tokensPerSecond = Summary(best.compactMap(\.report.tokensPerSecond))?.mean
    peakBytes = best.compactMap(\.report.peakMemory).max()
    loss = Summary(best.compactMap(\.loss))
    nextTwoTokenLoss = summary("validation/next_2_token")
    bitsPerByte = summary("validation/bits_per_byte")
    let names = Set(best.flatMap(\.final.keys)).filter { $0.hasPrefix("connection/") }
    connections = Dictionary(
      uniqueKeysWithValues: names.compactMap { name in summary(name).map { (name, $0) } })
    cycles = arm.cycles.compactMap { length in
      StudyResults.Cycle(best.compactMap { $0.evaluation?.cycles.first { $0.cycle == length } })
    }
  }
}

extension StudyResults.Difference {
  fileprivate init?(_ comparison: StudyPlan.Comparison, _ measured: StudyResults.Measured) {
    let pairs = measured.pairs(comparison.arm, comparison.reference).compactMap { arm, reference in
      arm.loss.flatMap { loss in reference.loss.map { (loss, $0) } }
    }
    guard let loss = PairedDifference(pairs) else { return nil }
    (arm, reference, self.loss) = (comparison.arm, comparison.reference, loss)
  }
}

extension StudyResults.EqualBudgets {
  fileprivate init?(_ arm: String, _ baseline: String, _ measured: StudyResults.Measured) {
    let pairs = measured.pairs(arm, baseline)
    func parameters(_ arm: String) -> Double? {
      measured.study.runs(of: arm).first.map { Double(ModelCost($0.recipe.model, contextLength: 1).parameters) }
    }
    guard !pairs.isEmpty, let own = parameters(arm), let base = parameters(baseline), base > 0 else { return nil }
    func difference(_ budget: Budget) -> PairedDifference? {
      PairedDifference(
        pairs.compactMap { arm, baseline in
          guard let one = arm.curve(budget), let two = baseline.curve(budget), let end = one.points.last?.x,
            let baselineEnd = two.points.last?.x
          else { return nil }
          let smaller = min(end, baselineEnd)
          return one.value(at: smaller).flatMap { loss in two.value(at: smaller).map { (loss, $0) } }
        })
    }
    let tokens = pairs.compactMap { arm, baseline in
      baseline.loss.flatMap { loss in arm.curve(.tokens)?.firstX(reaching: loss) }
    }
    (self.arm, parameterRatio) = (arm, own / base)
    (self.tokens, operations, time) = (difference(.tokens), difference(.operations), difference(.time))
    (tokensToBaseline, reached, compared) = (Summary(tokens), tokens.count, pairs.count)
  }
}

extension StudyResults.Cycle {
  /// The mean over the evaluations of several seeds; nil without any.
  fileprivate init?(_ evaluations: [DirectEvaluation.Cycle]) {
    guard let first = evaluations.first, let bits = Summary(evaluations.map(\.mean.bitsPerByte)),
      let hits = Summary(evaluations.map(\.mean.accuracy))
    else { return nil }
    (cycle, bitsPerByte, accuracy) = (first.cycle, bits, hits)
    retention = Summary(evaluations.compactMap(\.retention))
    accuracyRetention = Summary(evaluations.compactMap(\.accuracyRetention))
    phases = first.phases.indices.compactMap { phase in
      Summary(evaluations.compactMap { $0.phases.indices.contains(phase) ? $0.phases[phase].bitsPerByte : nil })?.mean
    }
  }
}

extension StudyResults.Measured {
  /// The measurements of two arms at their best learning rates, paired by seed.
  fileprivate func pairs(_ arm: String, _ reference: String) -> [(RunMeasurements, RunMeasurements)] {
    let others = best(of: reference)
    return best(of: arm).compactMap { run, measured in
      others.first { $0.run.id.seed == run.id.seed }.map { (measured, $0.measured) }
    }
  }
}
