/// The plan of a study: training runs that differ in arm, learning rate and seed, and what is compared.
///
/// An arm is a recipe with changes. `docs/studies.md` has all keys of the file.
public struct StudyPlan: Hashable, Sendable {
  /// One arm.
  public struct Arm: Hashable, Sendable {
    /// The name, which is also the name of a folder.
    public var name: String
    /// The path of the recipe.
    public var recipe: String
    /// Changes of the recipe, as given to `--set`: those of all arms, then those of this one.
    public var changes: [String]
    /// The learning rates; nil for the recipe's.
    public var learningRates: [Double]?
    /// The seeds.
    public var seeds: [UInt64]
    /// The arm from whose best checkpoint of the same seed each run starts, at that arm's best learning rate.
    public var start: String?
    /// The cycle lengths at which direct decoding is evaluated after training.
    public var cycles: [Int]
  }

  /// Two arms that are compared.
  public struct Comparison: Hashable, Sendable {
    /// The arm.
    public var arm: String
    /// The arm that it is compared with.
    public var reference: String
  }

  /// The path of the file, as errors show it.
  public var name: String
  /// The question that the study answers.
  public var question: String
  /// What the study costs, for people.
  public var cost: String?
  /// The arm that the others are compared with.
  public var baseline: String
  /// The arms, in the order of the file.
  public var arms: [Arm]
  /// Further comparisons.
  public var comparisons: [Comparison]
  /// The arms of the line loss = a + b·log₂ r; empty for none.
  public var fit: [String]

  /// The arm of a name.
  func arm(_ name: String) -> Arm? { arms.first { $0.name == name } }

  /// The number of arms that a run of an arm needs first: 0 for one that starts from new weights.
  func depth(of name: String) -> Int {
    var (depth, start) = (0, arm(name)?.start)
    while let current = start, depth <= arms.count { (depth, start) = (depth + 1, arm(current)?.start) }
    return depth
  }
}
