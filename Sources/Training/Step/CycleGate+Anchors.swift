import WidebandLanguageModel
import WidebandTorch

extension CycleGate {
  /// The phase of each token of a batch, row after row.
  ///
  /// - Parameters:
  ///   - anchors: for each token the position in its row at which its cycles begin; negative for tokens of a prompt.
  ///   - length: T, the number of tokens of a row.
  ///   - cycle: the cycle length of each row.
  static func phases(anchors: [Int], length: Int, cycle: (_ row: Int) -> Int) -> [Int] {
    anchors.indices.map { place in
      let anchor = anchors[place]
      return anchor < 0
        ? promptPhase : phase(of: place % length, anchor: anchor, cycle: cycle(place / length))
    }
  }

  /// The gate of tokens `[B, T]` at the given phases, row after row.
  ///
  /// - Throws: `ConfigurationError` if the configuration has no layer split.
  init(phases: [Int], like tokens: Tensor, _ configuration: ModelConfiguration) throws {
    try self.init(
      phases: Tensor(phases.map(Int64.init), shape: tokens.shape, on: tokens.device), configuration)
  }
}
