/// The reason why a run cannot continue. The description is one sentence.
public enum TrainingError: Error, CustomStringConvertible, Sendable {
  /// The recipe would compute something else than the one that the checkpoint was trained with; a new run can start
  /// from the checkpoint. The payload is the sentence.
  case recipeChanged(String)
  /// The training data or the teacher's weights differ from those that the checkpoint was trained with. The payload is
  /// the sentence.
  case sourcesChanged(String)
  /// The weights or moments of the checkpoint are not finite; the checkpoint before it may be. The payload is the
  /// sentence.
  case damagedCheckpoint(String)
  /// A loss, gradient, weight or measurement is not finite: training has diverged. The payload is the sentence.
  case notFinite(String)

  /// The batches of a step cannot be shared out to the processes. The payload is the sentence.
  case unshared(String)

  /// The sentence.
  public var description: String {
    switch self {
    case .recipeChanged(let sentence), .sourcesChanged(let sentence), .damagedCheckpoint(let sentence),
      .notFinite(let sentence), .unshared(let sentence):
      sentence
    }
  }
}
