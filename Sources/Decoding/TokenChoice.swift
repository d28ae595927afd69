import Torch

/// The choice itself: from logits and one evenly drawn number a row, in one kernel on the processor and by operators,
/// which are its reference, elsewhere.
///
/// Nothing here reads a result or depends on one in its shapes, so that a GPU's recorded step can choose its own token.
/// What comes before the choice of the largest is in float64, which leaves room for any temperature.
extension SamplingOptions {
  /// The tokens `[R]` chosen from logits `[R, V]`; -1 for a row that is not finite.
  ///
  /// - Parameters:
  ///   - numbers: one from 0 below 1 for each row, `[R, 1]` in float64, that decides the draw; nil where the choice is
  ///     greedy.
  ///   - seen: which tokens the row's text has, `[R, V]`; nil where repetition costs nothing.
  func choices(from logits: Tensor, numbers: Tensor?, seen: Tensor?) -> Tensor {
    let draw = isGreedy ? nil : numbers
    if draw == nil, seen == nil, let places = logits.fusedLargest { return places }
    if let draw, let places = fusedDraw(from: logits, by: draw, seen: seen) { return places }
    let extent = logits.max(-1).to(.float64) - logits.min(-1).to(.float64)
    let place =
      if let draw {
        Self.drawn(by: draw, from: scores(logits, seen: seen).exp())
      } else {
        // Nothing else that is done in float64 changes which is the largest.
        (seen == nil ? logits : penalizingRepetition(logits.to(.float64), seen)).argmax(-1)
      }
    // A not-a-number makes both extremes one, an infinity one of them.
    return place.masked(extent.isFinite().not(), -1)
  }

  private func fusedDraw(from logits: Tensor, by numbers: Tensor, seen: Tensor?) -> Tensor? {
    logits.fusedDraw(
      by: numbers, seen: seen, repetitionPenalty: repetitionPenalty, temperature: temperature, topK: keptCount,
      topP: keptShare, minP: minP)
  }

  /// Every step but the draw: the logarithms of the probabilities `[R, V]` but for a constant, the largest being 0, with
  /// minus infinity where a token cannot be chosen.
  func scores(_ logits: Tensor, seen: Tensor?) -> Tensor {
    filtered(penalizingRepetition(logits.to(.float64), seen))
  }

  /// The places `[R]` at which the running sums of weights `[R, V]` pass the numbers' share of the whole, found part by part;
  /// never one of weight 0.
  static func drawn(by numbers: Tensor, from weights: Tensor) -> Tensor {
    let parts = RowParts(weights)
    let sums = parts.reduced { $0.sum(-1) }
    let target = numbers * sums.sum(-1, keep: true)
    let running = sums.cumulativeSum(-1)
    let part = passing(target, running, sums)
    let before = running.gather(part, axis: -1) - sums.gather(part, axis: -1)
    let (own, start) = parts.part(part)
    return (start + passing(target - before, own.cumulativeSum(-1), own)).flattened()
  }

  /// The first place of each row `[R, N]` of weights at which their running sum is beyond a target `[R, 1]`; never one of
  /// weight 0.
  private static func passing(_ target: Tensor, _ running: Tensor, _ weights: Tensor) -> Tensor {
    // Sums that were formed in another order may differ in their last bits: the target stays clear of the whole.
    let most = running.slice(-1, (running.size(-1) - 1)...) * (1 - 1e-12)
    let reached = Tensor.choose(target .< most, target, most)
    return (weights.masked(running .<= reached, 0) .> 0).to(.uint8).argmax(-1, keep: true)
  }

  private func penalizingRepetition(_ scores: Tensor, _ seen: Tensor?) -> Tensor {
    guard let seen else { return scores }
    let divisor = Tensor.full([1], repetitionPenalty, .float64, on: scores.device)
    return .choose(seen, .choose(scores .< 0, scores * repetitionPenalty, scores / divisor), scores)
  }

  private func filtered(_ scores: Tensor) -> Tensor {
    // Taking the largest away changes no probability and keeps tiny temperatures from overflowing.
    let least = scores - scores.max(-1, keep: true)
    let cooled = temperature == 1 ? least : least / Tensor.full([1], temperature, .float64, on: scores.device)
    return keepingMinP(keepingTop(cooled))
  }

  /// Top-k, and top-p of what it leaves: both come down to the least score that stays.
  private func keepingTop(_ scores: Tensor) -> Tensor {
    let count = scores.size(-1), k = min(keptCount ?? count, count)
    guard k < count || topP < 1 else { return scores }
    let largest = k < count ? scores.top(k).values : scores.sorted(descending: true).values
    let last = largest.slice(-1, (k - 1)...)
    let kept = scores.masked(scores .< last, -.infinity)
    guard topP < 1 else { return kept }
    // A score stays as long as those above it have less than the share together.
    let shares = largest.exp()
    let stays = (shares.cumulativeSum(-1) - shares) .< (kept.exp().sum(-1, keep: true) * keptShare)
    return scores.masked(scores .< largest.masked(stays.not(), .infinity).min(-1, keep: true), -.infinity)
  }

  private func keepingMinP(_ scores: Tensor) -> Tensor {
    guard minP > 0 else { return scores }
    let probabilities = scores.softmax(-1)
    return scores.masked(probabilities .< probabilities.max(-1, keep: true) * minP, -.infinity)
  }
}

/// Rows `[R, V]` in parts of equal width, the last of which may be shorter.
private struct RowParts {
  private static let width = 512
  private let rows: Tensor

  init(_ rows: Tensor) { self.rows = rows }

  /// What `reduce` makes of every part, `[R, parts]`, given parts as the last axis of what it is called with.
  func reduced(_ reduce: (Tensor) -> Tensor) -> Tensor {
    let count = rows.size(-1), whole = count / Self.width * Self.width
    var found: [Tensor] = []
    if whole > 0 { found.append(reduce(rows.slice(-1, 0..<whole).reshaped(rows.size(0), -1, Self.width))) }
    if whole < count { found.append(reduce(rows.slice(-1, whole...).unsqueezed(1))) }
    return found.count == 1 ? found[0] : .concatenate(found, axis: -1)
  }

  /// One part of each row, which `index` `[R, 1]` names, as `[R, width]` with zeros behind the row's end; and where it
  /// begins, `[R, 1]`.
  func part(_ index: Tensor) -> (values: Tensor, start: Tensor) {
    let starts = Tensor.range(0..<rows.size(-1), by: Self.width, on: rows.device)
    let start = starts.rows(index.flattened()).unsqueezed(1)
    let places = start + Tensor.range(0..<Self.width, on: rows.device)
    let isBehind = places .> Double(rows.size(-1) - 1)
    return (rows.gather(places.masked(isBehind, 0), axis: -1).masked(isBehind, 0), start)
  }
}
