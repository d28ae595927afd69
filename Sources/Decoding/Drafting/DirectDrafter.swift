import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

/// Drafts by direct decoding.
///
/// All verified tokens were processed with the gate open, so that the last of them is a cycle head. Draft tokens run
/// through the encoding and decoding layers alone, and are removed again before they are verified.
final class DirectDrafter: Drafter {
  let session: DecodingSession

  /// - Parameter cycle: tokens of a cycle; nil for the cycle that the model was tuned for.
  /// - Throws: as `DecodingSession`; `GenerationError` for a cycle of one token.
  init(_ model: LanguageModel, cycle: Int?, cacheFormat: KVCacheFormat? = nil, capacity: Int = 64) throws {
    guard let split = model.configuration.directDecoding else { throw ConfigurationError.missingSplit }
    session = try DecodingSession(
      model, cycle: cycle ?? split.cycle, cacheFormat: cacheFormat, capacity: capacity)
    guard session.cycle >= 2 else {
      throw GenerationError.invalidOption("cycle is \(session.cycle): expected at least 2 to draft by direct decoding")
    }
  }

  var limit: Int { session.cycle - 1 }

  func propose(_ count: Int, after next: TokenID, sample: (Tensor, [TokenID]) throws -> TokenID) throws -> [TokenID] {
    let start = session.tokens.count
    defer { session.truncate(to: start) }
    var drafts: [TokenID] = []
    while drafts.count < count {
      let logits = try session.prefill([drafts.last ?? next], phases: [drafts.count + 1])
      drafts.append(try sample(logits, drafts))
    }
    return drafts
  }

  func truncate(to count: Int) { session.truncate(to: count) }
  func reserveCapacity(_ count: Int) { session.reserveCapacity(count) }
}
