import Foundation
import Testing
import WidebandTorch

@testable import WidebandDistributed

/// Which rank is named after a failure.
@Suite struct LostRankTests {
  private struct Ended: Error {}

  @Test("the ranks that remain name the one that ended, and every further call throws the same error")
  func threads_oneEnds() throws {
    let seen = Counter()
    func run() throws {
      try ProcessGroup.threads(3) { group in
        try group.barrier()
        if group.rank == 1 { throw Ended() }
        // A rank that computes when another is lost notices later, and gives the same reason.
        if group.rank == 2 { Thread.sleep(forTimeInterval: 3) }
        let error = #expect(throws: DistributedError.self) { try group.allGather([1]) }
        guard case .ranksLost([1], let sentence) = error else {
          Issue.record("\(String(describing: error))")
          return
        }
        #expect(
          ["connection closed", "connection reset"].map { "rank 1 (thread 1) was lost: \($0)" }.contains(sentence))
        #expect(throws: DistributedError.ranksLost([1], sentence)) { try group.barrier() }
        seen.increment()
      }
    }
    #expect(throws: Ended.self) { try run() }
    #expect(seen.value == 2)
  }

  @Test("a rank that does not come to an operation in time is named by all, itself too")
  func threads_oneStalls() throws {
    let seen = Counter()
    try ProcessGroup.threads(3, timeout: .seconds(2)) { group in
      try group.barrier()
      if group.rank == 2 { Thread.sleep(forTimeInterval: 4) }
      #expect(throws: DistributedError.ranksLost([2], "rank 2 (thread 2) did not answer for 2 s")) {
        try group.allToAll(try withTorch { Tensor.zeros([3]) })
      }
      seen.increment()
    }
    #expect(seen.value == 3)
  }

  @Test("a rank that ends by an error of its own gives the others its reason")
  func end_reason() throws {
    let seen = Counter()
    try ProcessGroup.threads(3, timeout: .seconds(2)) { group in
      try group.barrier()
      if group.rank == 1 { group.end(because: "no space left") }
      #expect(throws: DistributedError.rankEnded("rank 1 (thread 1) ended: no space left")) {
        try group.broadcast(try withTorch { Tensor.zeros([3]) }, from: 1)
      }
      seen.increment()
    }
    #expect(seen.value == 3)
  }

  @Test("what libtorch says of a failure, in short")
  func failure_reasons() {
    func failure(_ message: String) -> Failure { Failure(message: message, timeout: .seconds(100)) }
    #expect(
      failure("[/a/pair.cc:538] Read error [127.0.0.1]:48039: Connection reset by peer").reason == "connection reset")
    #expect(failure("[/a/pair.cc:547] Connection closed by peer [127.0.0.1]:28308").reason == "connection closed")
    #expect(failure("[/a/pair.cc:5] Something else").reason == "Something else")
    let stalled = failure("[/a/buffer.cc:1] Timed out waiting 4000ms for send operation to complete")
    #expect(stalled.kind == .timeout && stalled.reason == "no answer for 100 s")
    for failure in [stalled, failure("Connection reset by peer"), Failure(endOf: 2, reason: "no space left")] {
      #expect(Failure(text: failure.text) == failure)
    }
  }

  @Test("without the store rank 0 is lost; without a rank that differs only the reason is known")
  func findings_sentences() {
    let failure = Failure(message: "Connection reset by peer", timeout: .seconds(100))
    func error(_ counts: [Int?]?) -> DistributedError {
      let operations = counts?.map { count in
        count.map { count in
          var operations = Operations()
          for _ in 0..<count { _ = operations.start("barrier") }
          return operations
        }
      }
      return Findings(failure: failure, operations: operations)
        .error(hosts: ["a", "b", "c", "d"], timeout: .seconds(100))
    }
    #expect(error(nil) == .ranksLost([0], "rank 0 (a) was lost: connection reset"))
    #expect(
      error([1, 1, nil, nil]) == .ranksLost([2, 3], "rank 2 (c) and rank 3 (d) were lost: connection reset"))
    #expect(error([1, 1, 2, 1]) == .ranksLost([], "the connection between the ranks failed: connection reset"))
  }
}
