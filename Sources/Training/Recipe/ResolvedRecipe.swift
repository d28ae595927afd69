import Foundation
import WidebandCheckedInput
import WidebandData
import WidebandLanguageModel

/// A recipe file with its changes, resolved by its data and the model that it starts from: as a new run saves it.
public struct ResolvedRecipe {
  /// The recipe, with absolute paths, so that the run can be resumed from any folder.
  public let recipe: Recipe
  /// The training data.
  public let training: TokenDataset

  /// Resolves a recipe.
  ///
  /// - Parameters:
  ///   - file: the path of the recipe.
  ///   - changes: changes of the form `key.path=value`, as given to `--set`.
  ///   - configuration: reads the configuration of the model folder that the run starts from.
  /// - Throws: `InputError`, the errors of reading the data, and those of `configuration`.
  public init(file: String, changes: [String], configuration: (String) throws -> ModelConfiguration) throws {
    let yaml = try Recipe.text(of: file)
    let folders = try Recipe.folders(yaml: yaml, name: file, changes: changes)
    guard let folder = folders.data else {
      throw InputError("\(printable(file)): no data: expected --data or a key 'data'")
    }
    training = try TokenDataset(folder: folder, split: .train)
    let start = try folders.from.map(configuration)
    if !folders.adapts, let folder = folders.from, let scheme = start?.quantization {
      throw InputError(
        "\(printable(folder)): the weights are quantized (\(scheme)): expected floats, which `wideband convert --dtype` "
          + "makes of them, or a recipe with 'lora'")
    }
    var recipe = try Recipe(
      yaml: yaml, name: file, changes: changes, vocabularySize: training.description.vocabularySize,
      startingFrom: start)
    if recipe.model.endOfTextTokens.isEmpty { recipe.model.endOfTextTokens = [training.description.endOfText] }
    recipe.data = fileURL(folder).standardizedFileURL.path
    recipe.from = recipe.from.map { fileURL($0).standardizedFileURL.path }
    self.recipe = recipe
  }

  /// The change that sets a key to a folder.
  public static func change(_ key: String, to folder: String) -> String {
    // In YAML's single quotes, only the quote itself must be escaped.
    "\(key)='\(folder.replacing("'", with: "''"))'"
  }
}
