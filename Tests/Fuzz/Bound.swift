import ArgumentParser
import Foundation
import Wideband

@testable import WidebandCLI

/// The choice of commands that end within seconds with any flags, given the small models and texts of the workspace.
///
/// Benchmarks, training of more than a few steps and `launch`, which starts processes, are only parsed and validated.
enum Bound {
  static func allows(_ command: any ParsableCommand) -> Bool {
    switch command {
    case is BenchCommand.Step, is BenchCommand.Connections, is BenchCommand.Decode, is LaunchCommand: false
    case let command as TrainCommand: allows(command)
    default: true
    }
  }

  /// A recipe that cannot be read is allowed: the command refuses it too.
  private static func allows(_ command: TrainCommand) -> Bool {
    guard let recipe = try? recipe(of: command) else { return true }
    let training = recipe.training
    let operations = ModelCost(recipe.model, contextLength: training.sequenceLength).operations
    let tokens = Double(training.steps) * Double(training.tokensPerStep)
    let isShort = recipe.sample.interval == 0 || min(recipe.sample.tokens, recipe.model.contextLength) <= 256
    return training.steps <= 4 && operations * tokens <= 2e9 && isShort
  }

  private static func recipe(of command: TrainCommand) throws -> Recipe {
    let own = command.output + "/recipe.yaml"
    let hasRun = FileManager.default.fileExists(atPath: own)
    let isResumed = command.resume == .required || command.resume == .auto && hasRun
    let path = isResumed ? own : command.recipe ?? ""
    let yaml = try Recipe.text(of: path)
    let from = try command.from ?? Recipe.folders(yaml: yaml, name: path, changes: command.set).from
    let start = try from.map { try ModelConfiguration(ModelFolder(URL(filePath: $0))) }
    return try Recipe(yaml: yaml, name: path, changes: command.set, vocabularySize: 320, startingFrom: start)
  }
}
