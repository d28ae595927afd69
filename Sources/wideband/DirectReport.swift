import Decoding
import Foundation
import LanguageModel

/// What `generate --stats` says beyond the counts and times of every generation.
enum DirectReport {
  /// Lines for people: what a token reads, how fast that is, and how close to what the weights allow.
  ///
  /// - Parameter ordinary: the same prompt decoded ordinarily; nil where `result` was.
  static func lines(
    _ result: GenerationResult, beside ordinary: GenerationResult?, cost: DirectDecodingCost,
    model: ModelConfiguration
  ) -> [String] {
    let L = model.layerCount
    var reading = "reads \(percent(cost.layersPerToken)) of the layers a token"
    if ordinary != nil, let split = model.directDecoding {
      let thinking = L - split.encodingLayers - split.decodingLayers
      reading +=
        " (E \(split.encodingLayers), T \(thinking), D \(split.decodingLayers) of \(L) layers, gate \(split.gate.rawValue))"
    }
    reading += String(format: ", %.1f MB of weights", cost.bytesPerToken / 1e6)
    if let speed = result.tokensPerSecond {
      reading += String(format: ", %.2f GB/s", speed * cost.bytesPerToken / 1e9)
    }
    guard let ordinary, let slow = ordinary.tokensPerSecond, let fast = result.tokensPerSecond else { return [reading] }
    return [
      reading,
      String(
        format: "ordinary decoding %.1f tokens/s · %.2f times as fast, by the weights at most %.2f times (%@ of it)",
        slow, fast / slow, cost.bound, percent(fast / slow / cost.bound)),
    ]
  }

  private static func percent(_ share: Double) -> String { String(format: "%.1f %%", 100 * share) }
}
