import Testing

@testable import WidebandDistributed

/// The check that all ranks run the same thing.
@Suite struct FactsTests {
  @Test("equal facts pass", arguments: 1...3)
  func requireSame_equal(size: Int) throws {
    try ProcessGroup.threads(size) { group in
      try group.requireSame([("the recipe", "ab"), ("libtorch", "2.11.0"), ("nothing", "")])
      try group.requireSame([])
    }
  }

  @Test("every rank names the one that differs from the majority, rank 0 too", arguments: 0...2)
  func requireSame_odd(odd: Int) throws {
    let seen = Counter()
    try ProcessGroup.threads(3) { group in
      let error = #expect(throws: DistributedError.self) {
        try group.requireSame([("the version", "1"), ("the recipe", group.rank == odd ? "cd" : "ab")])
      }
      let model = odd == 0 ? 1 : 0
      #expect(
        error?.description
          == "the recipe of rank \(odd) (thread \(odd)) is 'cd': expected 'ab', as on rank \(model) (thread \(model)) and 1 other"
      )
      seen.increment()
    }
    #expect(seen.value == 3)
  }

  @Test("without a majority rank 0 is right; a fact that a rank does not give differs")
  func difference_sentences() {
    let hosts = ["a", "b", "c", "d"]
    #expect(
      ProcessGroup.difference(in: ["1", "2"], of: "x", hosts: hosts)
        == "x of rank 1 (b) is '2': expected '1', as on rank 0 (a)")
    #expect(
      ProcessGroup.difference(in: ["1", "2", "2", "1"], of: "x", hosts: hosts)
        == "x of rank 1 (b) is '2': expected '1', as on rank 0 (a) and 1 other; 2 ranks differ")
    #expect(
      ProcessGroup.difference(in: ["1", nil, "1", "1"], of: "x", hosts: hosts)
        == "x of rank 1 (b) is not given: expected '1', as on rank 0 (a) and 2 others")
    #expect(ProcessGroup.difference(in: ["1", "1"], of: "x", hosts: hosts) == nil)
  }
}
