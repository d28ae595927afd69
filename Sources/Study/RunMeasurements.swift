import Foundation
import WidebandReporting
import WidebandTraining

/// What was measured in a run that is finished.
public struct RunMeasurements: Sendable {
  /// The curves, speed and memory.
  public let report: Report.Run
  /// The last evaluation on held-out text; empty without any.
  public let final: [String: Double]
  /// The quality of direct decoding, if it was evaluated.
  public let evaluation: DirectEvaluation?
  /// The next-token losses on held-out text by step.
  private let losses: [(x: Double, y: Double)]
  private let tokensPerStep: Double
  private let operationsPerToken: Double

  private static let lossName = "validation/next_token"

  /// The measurements of a run from the lines of its `metrics.jsonl`.
  public init(_ lines: [MetricsFile.Line], of run: StudyRun, evaluation: DirectEvaluation? = nil) {
    report = Report.Run(name: run.id.arm, metrics: lines)
    let evaluations = lines.filter { $0.values[Self.lossName]?.isFinite == true }
    final = evaluations.last?.values.filter(\.value.isFinite) ?? [:]
    losses = evaluations.map { (Double($0.step), $0.values[Self.lossName] ?? .nan) }
    self.evaluation = evaluation
    tokensPerStep = Double(run.recipe.training.tokensPerStep)
    operationsPerToken = run.operationsPerToken
  }

  /// The next-token loss on held-out text at the end, in nats.
  public var loss: Double? { final[Self.lossName] }

  /// The median seconds of a step, without evaluation and checkpoints.
  public var secondsPerStep: Double? { report.tokensPerSecond.flatMap { $0 > 0 ? tokensPerStep / $0 : nil } }

  /// What a step takes of a budget; nil for time that was not measured.
  func stepCost(_ budget: Budget) -> Double? {
    switch budget {
    case .tokens: tokensPerStep
    case .operations: tokensPerStep * operationsPerToken
    case .time: secondsPerStep
    }
  }

  /// The held-out loss as a function of tokens, floating-point operations or seconds.
  func curve(_ budget: Budget) -> Curve? {
    stepCost(budget).map { cost in Curve(points: losses.map { ($0.x * cost, $0.y) }) }
  }
}

/// What runs spend, and in which they are compared.
public enum Budget: String, Codable, Sendable, CaseIterable {
  /// Training tokens.
  case tokens
  /// Floating-point operations.
  case operations
  /// Seconds of training steps.
  case time
}
