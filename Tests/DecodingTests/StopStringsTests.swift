import Testing

@testable import WidebandDecoding

/// The output for a text that arrives in pieces.
private func passed(_ pieces: [String], _ strings: [String]) throws -> (text: String, stop: String?) {
  var stops = try StopStrings(strings)
  var text = ""
  for piece in pieces {
    let (free, stop) = stops.append(piece)
    text += free
    if let stop { return (text, stop) }
  }
  return (text + stops.finish(), nil)
}

/// All partitions of a text into pieces between its scalars.
private func cuts(_ text: String) -> [[String]] {
  let scalars = text.unicodeScalars.map(String.init)
  return (0..<(1 << (scalars.count - 1))).map { cut in
    var pieces = [scalars[0]]
    for index in 1..<scalars.count {
      if cut >> (index - 1) & 1 == 1 {
        pieces.append(scalars[index])
      } else {
        pieces[pieces.count - 1] += scalars[index]
      }
    }
    return pieces
  }
}

@Test(
  arguments: [
    ("abcabd-xyz", ["abd"], "abc", "abd"),
    ("aaaaab", ["aab"], "aaa", "aab"),
    ("say é è ü.", ["è"], "say é ", "è"),
    ("abcdefg", ["cde", "d"], "abc", "d"),
    ("abcdefg", ["d", "bcd"], "a", "bcd"),
    ("abcdefg", ["cx", "gh", "efgh"], "abcdefg", nil),
    ("👩‍🔬x👩‍🔬END", ["END", "\u{200D}E"], "👩‍🔬x👩‍🔬", "END"),
  ] as [(String, [String], String, String?)])
func textEndsBeforeAStopStringHoweverItArrives(text: String, strings: [String], free: String, stop: String?) throws {
  for pieces in cuts(text) {
    let result = try passed(pieces, strings)
    #expect(result.text == free, "\(pieces)")
    #expect(result.stop == stop, "\(pieces)")
  }
}

@Test func onlyWhatCouldBeAStopStringIsHeldBack() throws {
  var stops = try StopStrings(["END"])
  #expect(stops.append("the E").text == "the ")
  #expect(stops.append("N").text == "")
  #expect(stops.append("E").text == "EN")
  #expect(stops.append("x").text == "Ex")
  #expect(stops.finish() == "")
}

@Test func anEmptyStopStringIsRefused() {
  #expect(
    message { _ = try StopStrings(["a", ""]) } == "stop string 2 is empty: expected at least one character")
}
