import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTraining

/// One run of a study.
public struct StudyRun: Sendable, Identifiable {
  /// What distinguishes a run from all others of its study.
  public struct ID: Hashable, Sendable, CustomStringConvertible {
    /// The name of the arm.
    public let arm: String
    /// The learning rate.
    public let learningRate: Double
    /// The seed.
    public let seed: UInt64

    /// The path of the run in the folder of runs.
    public var description: String { "\(arm)/lr-\(learningRate)/seed-\(seed)" }
  }

  /// Its arm, learning rate and seed.
  public let id: ID
  /// The path of its recipe.
  public let recipePath: String
  /// All changes of the recipe, as given to `--set`, but for the folder that the run starts from.
  public let changes: [String]
  /// The resolved recipe. Its `from` is not the final one if the run starts from an arm with several learning rates.
  public let recipe: Recipe
  /// The arm that it starts from.
  public let start: String?
  /// The cycle lengths at which it is evaluated.
  public let cycles: [Int]

  /// Floating-point operations for a token, in the forward and backward pass.
  public var operationsPerToken: Double {
    let cost = ModelCost(recipe.model, contextLength: recipe.training.sequenceLength)
    return (recipe.lora == nil ? 3 : 2) * cost.operations
  }

  /// Floating-point operations of all steps.
  public var operations: Double {
    operationsPerToken * Double(recipe.training.tokensPerStep) * Double(recipe.training.steps)
  }

  /// r: the width of the state as a multiple of the backbone's.
  var widthFactor: Double { recipe.model.virtualWidth?.factor ?? 1 }
}

/// A plan with all of its runs.
public struct Study: Sendable {
  /// The plan.
  public let plan: StudyPlan
  /// All runs, in the order in which they are started: an arm after the one that it starts from, and all arms with their
  /// first seed before the second, so that results compare all arms early.
  public let runs: [StudyRun]

  /// How many runs a study may have.
  private static let counts = 1...10_000

  /// Resolves the recipes of all runs.
  ///
  /// - Parameters:
  ///   - plan: the plan.
  ///   - folder: the folder of the study, which contains the models that runs start from.
  ///   - data: the folder of prepared data; nil if the recipes name it.
  ///   - configuration: reads the configuration of a model folder.
  /// - Throws: `InputError` that names the arm.
  public init(
    _ plan: StudyPlan, folder: StudyFolder.Paths, data: String?, configuration: (String) throws -> ModelConfiguration
  ) throws {
    var runs: [(order: [Int], run: StudyRun)] = []
    func resolve(_ arm: StudyPlan.Arm, _ changes: [String], seed: UInt64) throws -> Recipe {
      let parent = runs.first { $0.run.id.arm == arm.start && $0.run.id.seed == seed }?.run
      let from = parent.map { [ResolvedRecipe.change("from", to: folder.best($0.id))] } ?? []
      do {
        return try ResolvedRecipe(file: arm.recipe, changes: changes + from) { path in
          if let parent { parent.recipe.model } else { try configuration(path) }
        }.recipe
      } catch { throw InputError("\(plan.name): arm \(arm.name): \(error)") }
    }
    let ordered = plan.arms.enumerated().map { (index: $0, arm: $1, depth: plan.depth(of: $1.name)) }
    for (index, arm, depth) in ordered.sorted(by: { ($0.depth, $0.index) < ($1.depth, $1.index) }) {
      let changes = arm.changes + (data.map { [ResolvedRecipe.change("data", to: $0)] } ?? [])
      for (seedIndex, seed) in arm.seeds.enumerated() {
        let seeded = changes + ["training.seed=\(seed)"]
        let rates: [Double?] = arm.learningRates.map { $0.map { $0 } } ?? [nil]
        for (rateIndex, rate) in rates.enumerated() {
          guard Self.counts.contains(runs.count + 1) else {
            throw InputError("\(plan.name): has more than \(Self.counts.upperBound) runs: expected at most as many")
          }
          let changes = seeded + (rate.map { ["optimizer.learning_rate=\($0)"] } ?? [])
          let recipe = try resolve(arm, changes, seed: seed)
          let id = StudyRun.ID(arm: arm.name, learningRate: recipe.optimizer.learningRate, seed: seed)
          runs.append(
            (
              [depth, seedIndex, index, rateIndex],
              StudyRun(
                id: id, recipePath: arm.recipe, changes: changes, recipe: recipe, start: arm.start, cycles: arm.cycles)
            ))
        }
      }
    }
    self.plan = plan
    self.runs = runs.sorted { $0.order.lexicographicallyPrecedes($1.order) }.map(\.run)
    try requireWidths()
  }

  /// The runs of an arm.
  func runs(of arm: String) -> [StudyRun] { runs.filter { $0.id.arm == arm } }

  /// Checks that a line can be fitted through the arms of `fit`.
  private func requireWidths() throws {
    guard !plan.fit.isEmpty else { return }
    let widths = Set(runs.filter { plan.fit.contains($0.id.arm) }.map(\.widthFactor))
    guard widths.count < 2 else { return }
    throw InputError(
      "\(plan.name): fit.arms have one r = slots / fraction_rate, \(widths.first ?? 1): expected arms of different r")
  }
}
