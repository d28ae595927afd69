import ArgumentParser
import Checkpoint
import Foundation
import LanguageModel
import Training

@testable import WidebandCLI

/// Which commands end within moments, whatever their flags say, as long as models and texts are those of the workspace.
///
/// Benchmarks measure the machine first and are parsed and validated alone; so is training of more than a few steps.
enum Bound {
  static func allows(_ command: any ParsableCommand) -> Bool {
    switch command {
    case is BenchCommand.Step, is BenchCommand.Connections, is BenchCommand.Decode: false
    case let command as Train: allows(command)
    default: true
    }
  }

  /// A recipe that cannot be read is no reason against: the command will refuse it as well.
  private static func allows(_ command: Train) -> Bool {
    guard let recipe = try? recipe(of: command) else { return true }
    let training = recipe.training
    let operations = ModelCost(recipe.model, contextLength: training.sequenceLength).operations
    let tokens = Double(training.steps) * Double(training.tokensPerStep)
    let isShort = recipe.sample.interval == 0 || min(recipe.sample.tokens, recipe.model.contextLength) <= 256
    return training.steps <= 4 && operations * tokens <= 2e9 && isShort
  }

  private static func recipe(of command: Train) throws -> Recipe {
    let path = command.resume ? command.output + "/recipe.yaml" : command.recipe ?? ""
    let yaml = try Recipe.text(of: path)
    let from = try command.from ?? Recipe.folders(yaml: yaml, name: path, changes: command.set).from
    let start = try from.map { try ModelConfiguration(ModelFolder(URL(filePath: $0))) }
    return try Recipe(yaml: yaml, name: path, changes: command.set, vocabularySize: 320, startingFrom: start)
  }
}
