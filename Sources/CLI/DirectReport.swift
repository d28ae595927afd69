import Foundation
import Wideband

/// The lines of `generate` on direct decoding and drafts.
enum DirectReport {
  /// The lines of `--stats`: the weights that a token reads, the bandwidth, and the speed-up with its bound.
  ///
  /// - Parameter ordinary: the result of ordinary decoding of the same prompt; nil if `result` is that.
  static func lines(
    _ result: GenerationResult, comparedWith ordinary: GenerationResult?, cost: DirectDecodingCost,
    model: ModelConfiguration
  ) -> [String] {
    var lines: [String] = []
    // With drafts, tokens read different numbers of layers; only the speed can be compared.
    if result.drafts == nil {
      lines.append(reading(cost, at: result.tokensPerSecond, isDirect: ordinary != nil, model))
    }
    guard let ordinary, let slow = ordinary.tokensPerSecond, let fast = result.tokensPerSecond else { return lines }
    var comparison = String(format: "ordinary decoding %.1f tokens/s · %.2f times as fast", slow, fast / slow)
    if result.drafts == nil {
      comparison += String(format: ", by the weights at most %.2f times (", cost.bound)
      comparison += percent(fast / slow / cost.bound) + " of it)"
    }
    return lines + [comparison]
  }

  /// The weights that a token reads, and the bandwidth at a speed in tokens per second.
  static func reading(
    _ cost: DirectDecodingCost, at speed: Double?, isDirect: Bool, _ model: ModelConfiguration
  ) -> String {
    var line = "reads \(percent(cost.layersPerToken)) of the layers a token"
    if isDirect, let split = model.directDecoding {
      let (E, D, L) = (split.encodingLayers, split.decodingLayers, model.layerCount)
      line += " (E \(E), T \(L - E - D), D \(D) of \(L) layers, gate \(split.gate.rawValue))"
    }
    line += String(format: ", %.1f MB of weights", cost.bytesPerToken / 1e6)
    guard let speed else { return line }
    return line + String(format: ", %.2f GB/s", speed * cost.bytesPerToken / 1e9)
  }

  /// The acceptance rate of drafts by position, and the tokens per pass.
  static func line(_ drafts: DraftCounts) -> String {
    let shares = zip(drafts.accepted, drafts.proposed).map { percent(Double($0) / Double($1)) }
    let tokens = Double(drafts.passes + drafts.accepted.reduce(0, +)) / Double(max(1, drafts.passes))
    return "drafts accepted by place: \(shares.isEmpty ? "none proposed" : shares.joined(separator: ", "))"
      + String(format: " · %.2f tokens a pass", tokens)
  }

  private static func percent(_ share: Double) -> String { String(format: "%.1f %%", 100 * share) }
}
