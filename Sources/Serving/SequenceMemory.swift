import WidebandDecoding
import WidebandLanguageModel

/// What a sequence occupies while it is served, and another one after it: its keys and values, and its drafter.
final class SequenceMemory {
  let session: DecodingSession
  /// Nil where nothing is drafted.
  let drafter: (any Drafter)?

  /// - Throws: `GenerationError` or `ConfigurationError` for options that do not suit the model.
  init(_ model: LanguageModel, _ options: ServingOptions) throws {
    drafter = try options.draftMethod?.drafter(for: model, cycle: options.cycle, cacheFormat: options.cacheFormat)
    session =
      try drafter?.session
      ?? DecodingSession(model, cycle: options.cycle, cacheFormat: options.cacheFormat)
  }

  /// Removes all tokens from `count` on.
  func truncate(to count: Int) { drafter?.truncate(to: count) ?? session.truncate(to: count) }

  /// Reserves memory for all positions of an empty sequence.
  func reserveCapacity(_ count: Int) { drafter?.reserveCapacity(count) ?? session.reserveCapacity(count) }
}
