/// Nodes of the numbers of a range, exact, without exponents.
///
/// A prefix is compared with the digits of both ends: as long as it equals one, the next digit is limited.
struct DecimalRange {
  var lowest: DecimalBound
  var highest: DecimalBound
  /// The maximum number of digits after the point; 0 for integers.
  var fractionDigits: Int

  func nodes(in automaton: inout PushdownAutomaton, then next: NodeID) -> NodeID {
    let zero = ExactDecimal()
    var nodes: [NodeID] = []
    if highest.value >= zero {
      let low = lowest.value >= zero ? lowest : DecimalBound(value: zero)
      var range = MagnitudeRange(low: low, high: highest, fractionDigits: fractionDigits, next: next)
      nodes.append(range.nodes(in: &automaton))
    }
    if lowest.value < zero {
      let low =
        highest.value < zero
        ? DecimalBound(value: highest.value.negated, isExclusive: highest.isExclusive)
        : DecimalBound(value: zero, isExclusive: true)
      let high = DecimalBound(value: lowest.value.negated, isExclusive: lowest.isExclusive)
      var range = MagnitudeRange(low: low, high: high, fractionDigits: fractionDigits, next: next)
      let magnitude = range.nodes(in: &automaton)
      nodes.append(automaton.literal("-", then: magnitude))
    }
    return automaton.choice(nodes)
  }
}

/// The same for numbers from 0.
private struct MagnitudeRange {
  let low: DecimalBound
  let high: DecimalBound
  let fractionDigits: Int
  let next: NodeID
  private var known: [Prefix: NodeID] = [:]

  /// How much of a number was read.
  private struct Prefix: Hashable {
    /// The digits before the point, all of the number's.
    var length: Int
    /// The digits read, before and after the point.
    var position = 0
    /// Whether they equal those of the lower and of the upper end.
    var isLow: Bool
    var isHigh: Bool
  }

  init(low: DecimalBound, high: DecimalBound, fractionDigits: Int, next: NodeID) {
    (self.low, self.high, self.fractionDigits, self.next) = (low, high, fractionDigits, next)
  }

  mutating func nodes(in automaton: inout PushdownAutomaton) -> NodeID {
    guard low.value <= high.value else { return automaton.choice([]) }
    let (shortest, longest) = (low.value.integer.count, high.value.integer.count)
    var nodes: [NodeID] = []
    for length in shortest...longest {
      let prefix = Prefix(length: length, isLow: length == shortest, isHigh: length == longest)
      nodes.append(digit(after: prefix, in: &automaton))
    }
    return automaton.choice(nodes)
  }

  /// Nodes of the next digit and all that follows.
  private mutating func digit(after prefix: Prefix, in automaton: inout PushdownAutomaton) -> NodeID {
    if let node = known[prefix] { return node }
    let (least, most) = (limit(low, at: prefix), limit(high, at: prefix))
    let first: UInt8 = prefix.position == 0 && prefix.length > 1 ? 1 : 0
    var nodes: [NodeID] = []
    for (isLow, isHigh) in [(true, true), (true, false), (false, true), (false, false)] {
      let digits = (first...9).filter { digit in
        (!prefix.isLow || digit >= least) && (!prefix.isHigh || digit <= most)
          && (prefix.isLow && digit == least) == isLow && (prefix.isHigh && digit == most) == isHigh
      }
      guard let lowest = digits.first, let highest = digits.last else { continue }
      let following = Prefix(
        length: prefix.length, position: prefix.position + 1, isLow: isLow, isHigh: isHigh)
      nodes.append(automaton.bytes(ByteSet(0x30 + lowest...0x30 + highest), then: rest(following, in: &automaton)))
    }
    let node = automaton.choice(nodes)
    known[prefix] = node
    return node
  }

  /// Nodes of what follows a digit.
  private mutating func rest(_ prefix: Prefix, in automaton: inout PushdownAutomaton) -> NodeID {
    guard prefix.position >= prefix.length else { return digit(after: prefix, in: &automaton) }
    var nodes = canEnd(prefix) ? [next] : []
    if prefix.position - prefix.length < fractionDigits {
      let digit = digit(after: prefix, in: &automaton)
      nodes.append(prefix.position == prefix.length ? automaton.literal(".", then: digit) : digit)
    }
    return automaton.choice(nodes)
  }

  /// The digit of a bound at the position after a prefix that equals it so far.
  private func limit(_ bound: DecimalBound, at prefix: Prefix) -> UInt8 {
    let digits = bound.value.integer + bound.value.fraction
    return prefix.position < digits.count ? digits[prefix.position] : 0
  }

  /// Whether the number may end here.
  private func canEnd(_ prefix: Prefix) -> Bool {
    let read = prefix.position - prefix.length
    if prefix.isLow, low.value.fraction.count > read || low.isExclusive { return false }
    return !(prefix.isHigh && high.value.fraction.count <= read && high.isExclusive)
  }
}
