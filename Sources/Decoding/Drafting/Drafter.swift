import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

/// How draft tokens are proposed that the model then verifies in one pass.
public enum DraftMethod: String, Sendable, CaseIterable {
  /// By the model's multi-token prediction: as many tokens as it has depths. The ordinary model verifies them.
  case prediction
  /// By direct decoding: the tokens after a cycle head. The model verifies them with its gate open at every token, as
  /// with cycles of one token; with the gate "select" that is the ordinary model.
  case direct
}

/// A draft token, and the distribution `[V]` from which it was sampled.
struct Draft {
  let token: TokenID
  let distribution: Tensor
}

/// Proposes several tokens of one sequence at low cost, for one pass of the model to verify.
///
/// Prompts and verified tokens are appended to its session by `DecodingSession.prefill` and `DecodingSession.verify`.
package protocol Drafter: AnyObject {
  /// The sequence: all tokens that the model has processed.
  var session: DecodingSession { get }
  /// Maximum tokens of one proposal.
  var limit: Int { get }
  /// Proposes up to `count` tokens after `next`, which is sampled but not processed yet.
  ///
  /// - Parameter sample: makes a draft from logits `[V]` and the drafts before it.
  func propose(_ count: Int, after next: TokenID, sample: (Tensor, [TokenID]) throws -> TokenID) throws -> [TokenID]
  /// Removes all tokens from `count` on, which were not accepted.
  func truncate(to count: Int)
  /// Reserves memory for all positions of an empty sequence.
  func reserveCapacity(_ count: Int)
}

extension DraftMethod {
  /// A drafter with an empty sequence.
  ///
  /// - Parameters:
  ///   - cycle: with direct drafts, one more than the maximum of a proposal; nil for the cycle that the model was tuned
  ///     for.
  ///   - capacity: positions that caches allocate at first.
  /// - Throws: `GenerationError` or `ConfigurationError` if the model has nothing to draft with.
  package func drafter(
    for model: LanguageModel, cycle: Int?, cacheFormat: KVCacheFormat?, capacity: Int = 64
  ) throws -> any Drafter {
    switch self {
    case .prediction: try PredictionDrafter(model, cacheFormat: cacheFormat, capacity: capacity)
    case .direct: try DirectDrafter(model, cycle: cycle, cacheFormat: cacheFormat, capacity: capacity)
    }
  }
}

/// How many drafts were accepted.
public struct DraftCounts: Hashable, Sendable {
  /// Passes that verified a first, second, … draft after a token that was verified before.
  public internal(set) var proposed: [Int] = []
  /// In how many of them it was accepted, together with all drafts before it.
  public internal(set) var accepted: [Int] = []
  /// Passes of the whole model after the prompt.
  public internal(set) var passes = 0

  mutating func add(proposed count: Int, accepted hits: Int) {
    passes += 1
    for index in 0..<count {
      if index == proposed.count {
        proposed.append(0)
        accepted.append(0)
      }
      proposed[index] += 1
      if index < hits { accepted[index] += 1 }
    }
  }
}
