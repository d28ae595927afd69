import Testing
import WidebandTorch

@testable import WidebandDistributed

/// Operations that are not the same on all ranks.
@Suite struct OperationsTests {
  /// What a rank calls.
  enum Call: CustomTestStringConvertible {
    case allToAll(Int, DType)
    case allGather(Int, DType)
    case broadcast([Int], DType)
    case barrier

    func perform(in group: ProcessGroup) throws {
      switch self {
      case .allToAll(let count, let dtype): _ = try group.allToAll(try withTorch { Tensor.zeros([count], dtype) })
      case .allGather(let count, let dtype): _ = try group.allGather(try withTorch { Tensor.zeros([count], dtype) })
      case .broadcast(let shape, let dtype): try group.broadcast(try withTorch { Tensor.zeros(shape, dtype) }, from: 0)
      case .barrier: try group.barrier()
      }
    }

    var testDescription: String {
      switch self {
      case .allToAll(let count, let dtype): "allToAll of \(dtype)[\(count)]"
      case .allGather(let count, let dtype): "allGather of \(dtype)[\(count)]"
      case .broadcast(let shape, let dtype): "broadcast of \(dtype)\(shape) from rank 0"
      case .barrier: "barrier"
      }
    }
  }

  @Test(
    "all ranks name the one with another length, dtype or operation",
    arguments: [
      (.allToAll(3, .float32), .allToAll(6, .float32)), (.allToAll(6, .float32), .allToAll(3, .float32)),
      (.allToAll(6, .float32), .allToAll(6, .bfloat16)), (.allGather(5, .float32), .allGather(4, .float32)),
      (.allGather(4, .float32), .allGather(4, .int64)), (.broadcast([2, 3], .float32), .broadcast([2, 2], .float32)),
      (.allGather(2, .float32), .barrier),
    ] as [(Call, Call)])
  func ranksDiffer(usual: Call, odd: Call) throws {
    let seen = Counter()
    try ProcessGroup.threads(3, timeout: .seconds(2)) { group in
      try group.barrier()
      #expect(
        throws: DistributedError.ranksDiffer(
          "operation 2 of rank 1 (thread 1) is '\(odd.testDescription)': expected '\(usual.testDescription)', as on rank 0 "
            + "(thread 0) and 1 other")
      ) {
        try (group.rank == 1 ? odd : usual).perform(in: group)
        // A rank that was sent what it expected finds out in its next operation.
        try group.barrier()
      }
      seen.increment()
    }
    #expect(seen.value == 3)
  }

  @Test("of several exchanges at once the first one that differs is named")
  func ranksDiffer_severalAtOnce() throws {
    try ProcessGroup.threads(2, timeout: .seconds(2)) { group in
      let counts = group.rank == 0 ? [2, 4, 6] : [2, 6, 4]
      let exchanges = try counts.map { count in try group.startAllToAll(try withTorch { Tensor.zeros([count]) }) }
      #expect(try exchanges[0].wait().count == 2)
      #expect(
        throws: DistributedError.ranksDiffer(
          "operation 2 of rank 1 (thread 1) is 'allToAll of float32[6]': expected 'allToAll of float32[4]', as on rank 0 "
            + "(thread 0)")
      ) { try exchanges[1].wait() }
    }
  }

  @Test("operations as the store has them; those of long ago have no name")
  func text() throws {
    var operations = Operations()
    for number in 1...300 { _ = operations.start("allGather of float32[\(number)]") }
    let read = try #require(Operations(text: operations.text))
    #expect(read == operations && read.count == 300)
    #expect(read[300] == "allGather of float32[300]" && read[301] == nil && read[1] == nil)
    for text in ["", "x", "1\na\nb"] { #expect(Operations(text: text) == nil) }
  }

  @Test("tags differ by number and name") func tags() {
    func tag(after count: Int, _ name: String) -> UInt32 {
      var operations = Operations()
      for _ in 0..<count { _ = operations.start("barrier") }
      return operations.start(name)
    }
    let names = ["barrier"] + (1...999).map { "allToAll of float32[\($0)]" }
    #expect(Set(names.map { tag(after: 0, $0) }).count >= 998)
    #expect(Set((0..<1000).map { tag(after: $0, "barrier") }).count == 1000)
    #expect(tag(after: 5, "a") == tag(after: 5, "a"))
  }
}
