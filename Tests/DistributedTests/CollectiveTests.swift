import Testing
import WidebandTorch

@testable import WidebandDistributed

/// Collective operations of ranks that are threads.
@Suite struct CollectiveTests {
  @Test("allToAll: part r of rank s arrives at rank r as part s", arguments: 1...4)
  func allToAll_everyPart(size: Int) throws {
    try ProcessGroup.threads(size) { group in
      let sent = try withTorch { Tensor((0..<size * 3).map { Float(group.rank * 100 + $0) }) }
      let received = try group.allToAll(sent).elements(Float.self)
      let expected = (0..<size).flatMap { from in (0..<3).map { Float(from * 100 + group.rank * 3 + $0) } }
      #expect(received == expected)
      #expect(try sent.elements(Float.self) == (0..<size * 3).map { Float(group.rank * 100 + $0) })
    }
  }

  @Test("several exchanges at once, of bfloat16 too, end with their own results", arguments: 1...4)
  func startAllToAll_several(size: Int) throws {
    try ProcessGroup.threads(size) { group in
      let exchanges = try (0..<5).map { index in
        try group.startAllToAll(
          try withTorch { Tensor.full([size * 2], Double(index * 8 + group.rank), index == 4 ? .bfloat16 : .float32) })
      }
      for (index, exchange) in exchanges.enumerated().reversed() {
        let expected = (0..<size).flatMap { [Float(index * 8 + $0), Float(index * 8 + $0)] }
        #expect(try exchange.wait().elements(Float.self) == expected)
        #expect(try exchange.wait().elements(Float.self) == expected)
      }
    }
  }

  @Test("allGather of tensors is in the order of ranks", arguments: 1...4)
  func allGather_tensors(size: Int) throws {
    try ProcessGroup.threads(size) { group in
      let own = try withTorch { Tensor([Int64(group.rank), Int64(group.rank * 10)]) }
      #expect(try group.allGather(own).elements(Int64.self) == (0..<size).flatMap { [Int64($0), Int64($0 * 10)] })
      #expect(try group.allGather(try withTorch { Tensor.zeros([0]) }).count == 0)
    }
  }

  @Test("allGather of numbers and texts: every rank may have another length", arguments: 1...4)
  func allGather_lengths(size: Int) throws {
    try ProcessGroup.threads(size) { group in
      let numbers = (0..<size).map { rank in (0..<rank).map { Double($0) / 3 - 0.1 } }
      let gatheredNumbers = try group.allGather(numbers[group.rank])
      #expect(gatheredNumbers == numbers)
      let texts = (0..<size).map { String(repeating: "é\n", count: $0 * 5) }
      let gatheredTexts = try group.allGather(texts[group.rank])
      #expect(gatheredTexts == texts)
    }
  }

  @Test("broadcast overwrites with the tensor of the root", arguments: 1...4)
  func broadcast_everyRoot(size: Int) throws {
    try ProcessGroup.threads(size) { group in
      for root in 0..<size {
        let tensor = try withTorch { Tensor.full([2, 3], Double(group.rank * 10 + root)) }
        try group.broadcast(tensor, from: root)
        #expect(try tensor.elements(Float.self) == Array(repeating: Float(root * 10 + root), count: 6))
      }
      try group.broadcast(try withTorch { Tensor.zeros([0]) }, from: 0)
      try group.barrier()
    }
  }

  @Test("no rank passes a barrier before all have come to it", arguments: 2...4)
  func barrier_waits(size: Int) throws {
    let arrived = Counter()
    try ProcessGroup.threads(size) { group in
      for round in 1...3 {
        arrived.increment()
        try group.barrier()
        #expect(arrived.value >= round * size)
        try group.barrier()
      }
    }
  }

  @Test("tensors that do not fit are refused by name before anything is sent")
  func wrongUse() throws {
    try ProcessGroup.threads(2) { group in
      #expect(
        throws: DistributedError.wrongUse(
          "allToAll: a vector of 3 elements: expected a multiple of 2, the number of ranks")
      ) { try group.allToAll(try withTorch { Tensor.zeros([3]) }) }
      #expect(
        throws: DistributedError.wrongUse(
          "allGather: float32[1, 2] on cpu: expected a vector in the processor's memory")
      ) { try group.allGather(try withTorch { Tensor.zeros([1, 2]) }) }
      #expect(
        throws: DistributedError.wrongUse(
          "broadcast: float32[3, 2]: expected contiguous elements in the processor's memory")
      ) { try group.broadcast(try withTorch { Tensor.zeros([2, 3]).transposed(0, 1) }, from: 0) }
      #expect(throws: DistributedError.wrongUse("broadcast: the rank 2: expected one from 0 to 1")) {
        try group.broadcast(try withTorch { Tensor.zeros([2]) }, from: 2)
      }
      try group.barrier()
    }
    #expect(throws: DistributedError.wrongUse("0 ranks: expected at least one")) {
      try ProcessGroup.threads(0) { _ in }
    }
  }
}
