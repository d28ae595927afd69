import WidebandCheckedInput
import WidebandServing

extension ServingEngine {
  /// What the engine does now, for the page.
  func status(model: String) -> JSONValue {
    let now = statistics
    return [
      "model": .string(model), "parallel": JSONValue(options.parallel), "queue": JSONValue(options.queue),
      "cycle": options.cycle.map { JSONValue($0) } ?? .null, "phases": .array(now.phases.map { JSONValue($0) }),
      "waiting": JSONValue(now.waiting), "prefilling": JSONValue(now.prefilling), "running": JSONValue(now.running),
      "cache_positions": JSONValue(now.cachePositions), "cache_capacity": JSONValue(now.cacheCapacity),
      "prefix_cache_bytes": JSONValue(now.prefixCacheBytes),
      "prefix_queried_tokens": JSONValue(now.prefixQueriedTokens),
      "prefix_hit_tokens": JSONValue(now.prefixHitTokens), "prompt_tokens": JSONValue(now.promptTokens),
      "generated_tokens": JSONValue(now.generatedTokens), "decode_steps": JSONValue(now.decodeSteps),
      "decoded_sequences": JSONValue(now.decodedSequences), "alignment_steps": JSONValue(now.alignmentSteps),
      "drafted_tokens": JSONValue(now.draftedTokens), "accepted_tokens": JSONValue(now.acceptedTokens),
      "stopped": JSONValue(now.stopped), "reached_length": JSONValue(now.reachedLength),
      "cancelled": JSONValue(now.cancelled), "failed": JSONValue(now.failed),
      "prefill_seconds": .number(JSONNumber("\(now.prefillSeconds)")),
      "decode_seconds": .number(JSONNumber("\(now.decodeSeconds)")),
    ]
  }
}
