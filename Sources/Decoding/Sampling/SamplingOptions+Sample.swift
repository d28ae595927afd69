import WidebandTorch

/// Sampling itself: from logits and one uniform random number a row, in one kernel on the CPU, and elsewhere by composed
/// operators, which are its reference.
///
/// No host synchronization and no data-dependent shapes, so it can be captured in a CUDA graph. Everything before the
/// argmax is in float64, which leaves range for any temperature.
extension SamplingOptions {
  /// The indices `[R]` sampled from logits `[R, V]`; -1 for a row that is not finite.
  ///
  /// - Parameters:
  ///   - numbers: a uniform random number from 0 below 1 for each row, `[R, 1]` in float64; nil for greedy sampling.
  ///   - seen: which tokens the row's sequence has, `[R, V]`; nil without a repetition penalty.
  func sample(from logits: Tensor, numbers: Tensor?, seen: Tensor?) -> Tensor {
    let numbers = isGreedy ? nil : numbers
    if numbers == nil, seen == nil, let indices = logits.fusedArgmax { return indices }
    if let numbers, let indices = fusedSample(from: logits, by: numbers, seen: seen) { return indices }
    let extent = logits.max(-1).to(.float64) - logits.min(-1).to(.float64)
    let indices =
      if let numbers {
        Self.sample(scores(logits, seen: seen).exp(), by: numbers)
      } else {
        // No other step in float64 changes which logit is the largest.
        (seen == nil ? logits : penalizingRepetition(logits.to(.float64), seen)).argmax(-1)
      }
    // A NaN makes both extremes NaN, an infinity one of them infinite.
    return indices.maskedFill(extent.isFinite().not(), -1)
  }

  private func fusedSample(from logits: Tensor, by numbers: Tensor, seen: Tensor?) -> Tensor? {
    logits.fusedSample(
      by: numbers, seen: seen, repetitionPenalty: repetitionPenalty, temperature: temperature, topK: effectiveTopK,
      topP: effectiveTopP, minP: minP)
  }

  /// The logarithms of the probabilities `[R, V]` but for a constant, after every step of the options: the largest is 0,
  /// and a token that cannot be sampled has minus infinity.
  func scores(_ logits: Tensor, seen: Tensor?) -> Tensor {
    filtered(penalizingRepetition(logits.to(.float64), seen))
  }

  /// The indices `[R]` at which the running sums of weights `[R, V]` exceed the numbers' share of the total, found part
  /// by part; never one of weight 0.
  static func sample(_ weights: Tensor, by numbers: Tensor) -> Tensor {
    let parts = RowParts(weights)
    let sums = parts.reduced { $0.sum(-1) }
    let target = numbers * sums.sum(-1, keep: true)
    let running = sums.cumulativeSum(-1)
    let part = firstIndex(above: target, running, sums)
    let before = running.gather(part, axis: -1) - sums.gather(part, axis: -1)
    let (own, start) = parts.part(part)
    return (start + firstIndex(above: target - before, own.cumulativeSum(-1), own)).flattened()
  }

  /// The first index of each row `[R, N]` of weights at which their running sum exceeds a target `[R, 1]`; never one of
  /// weight 0.
  private static func firstIndex(above target: Tensor, _ running: Tensor, _ weights: Tensor) -> Tensor {
    // Sums in another order may differ in their last bits: the target stays below the total.
    let maximum = running.slice(-1, (running.size(-1) - 1)...) * (1 - 1e-12)
    let reached = Tensor.where(target .< maximum, target, maximum)
    return (weights.maskedFill(running .<= reached, 0) .> 0).to(.uint8).argmax(-1, keep: true)
  }

  private func penalizingRepetition(_ scores: Tensor, _ seen: Tensor?) -> Tensor {
    guard let seen else { return scores }
    let divisor = Tensor.full([1], repetitionPenalty, .float64, on: scores.device)
    return .where(seen, .where(scores .< 0, scores * repetitionPenalty, scores / divisor), scores)
  }

  private func filtered(_ scores: Tensor) -> Tensor {
    // Subtracting the maximum changes no probability and keeps tiny temperatures from overflowing.
    let shifted = scores - scores.max(-1, keep: true)
    let scaled = temperature == 1 ? shifted : shifted / Tensor.full([1], temperature, .float64, on: scores.device)
    return keepingMinP(keepingTop(scaled))
  }

  /// Top-k, and top-p of what it leaves: both are a lower bound on the scores that stay.
  private func keepingTop(_ scores: Tensor) -> Tensor {
    let count = scores.size(-1), k = min(effectiveTopK ?? count, count)
    guard k < count || topP < 1 else { return scores }
    let largest = k < count ? scores.topK(k).values : scores.sorted(descending: true).values
    let last = largest.slice(-1, (k - 1)...)
    let topK = scores.maskedFill(scores .< last, -.infinity)
    guard topP < 1 else { return topK }
    // A score stays as long as the probabilities of larger ones sum to less than the share.
    let probabilities = largest.exp()
    let stays =
      (probabilities.cumulativeSum(-1) - probabilities) .< (topK.exp().sum(-1, keep: true) * effectiveTopP)
    return scores.maskedFill(scores .< largest.maskedFill(stays.not(), .infinity).min(-1, keep: true), -.infinity)
  }

  private func keepingMinP(_ scores: Tensor) -> Tensor {
    guard minP > 0 else { return scores }
    let probabilities = scores.softmax(-1)
    return scores.maskedFill(probabilities .< probabilities.max(-1, keep: true) * minP, -.infinity)
  }
}

/// Rows `[R, V]` in parts of equal width, the last of which may be shorter.
private struct RowParts {
  private static let width = 512
  private let rows: Tensor

  init(_ rows: Tensor) { self.rows = rows }

  /// The result of `reduce` for every part, `[R, parts]`; it is called with parts along the last axis.
  func reduced(_ reduce: (Tensor) -> Tensor) -> Tensor {
    let count = rows.size(-1), end = count / Self.width * Self.width
    var results: [Tensor] = []
    if end > 0 { results.append(reduce(rows.slice(-1, 0..<end).reshaped(rows.size(0), -1, Self.width))) }
    if end < count { results.append(reduce(rows.slice(-1, end...).unsqueezed(1))) }
    return results.count == 1 ? results[0] : .concatenate(results, axis: -1)
  }

  /// The part `index` `[R, 1]` of each row as `[R, width]`, with zeros beyond the row's end; and where it begins,
  /// `[R, 1]`.
  func part(_ index: Tensor) -> (values: Tensor, start: Tensor) {
    let starts = Tensor.range(0..<rows.size(-1), by: Self.width, on: rows.device)
    let start = starts.indexSelect(index.flattened()).unsqueezed(1)
    let columns = start + Tensor.range(0..<Self.width, on: rows.device)
    let isBeyond = columns .> Double(rows.size(-1) - 1)
    return (rows.gather(columns.maskedFill(isBeyond, 0), axis: -1).maskedFill(isBeyond, 0), start)
  }
}
